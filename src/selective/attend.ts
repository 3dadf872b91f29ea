// One layer's attention over a packed batch, block by block: forward for both parts, and backward for the selected.

import type { Backbone, TransformerLayer } from "../models/contract.ts";
import { attention, splitHeads } from "../nn/attention.ts";
import { type AttentionGradient, attentionGradient } from "../nn/attention_gradient.ts";
import type { PrefixRows } from "../nn/prefix_slot.ts";
import {
  add_,
  cat,
  copy_,
  expand,
  type Generator,
  narrow,
  noGrad,
  reshape,
  scope,
  sumOver,
  type Tensor,
  to,
  unsqueeze,
  view,
  zeroGradAt,
} from "../torch/mod.ts";
import type { PackedBatch } from "./batch.ts";
import { type Block, fromRectangle, type PartOfBlock, rowsOf, toRectangle, toZeroRectangle } from "./layout.ts";

/** The hidden states of both parts, `[N_selected, d]` and `[N_rest, d]`; no rest where there is none to compute. */
export interface HiddenStates {
  readonly selected: Tensor;
  readonly rest: Tensor | null;
}

/** Dropout's generators: one for each part, so that the selected rows' masks can be drawn again alone. */
export interface DropoutRandom {
  readonly selected: Generator;
  readonly rest: Generator;
}

/** A layer at work on a batch. */
export interface LayerRun {
  readonly model: Backbone;
  readonly layer: TransformerLayer;
  readonly batch: PackedBatch;
  readonly random: DropoutRandom | null;
  /** Whether {@linkcode attend} keeps the states of the rest's generator, with which its keys can be made again. */
  readonly keepsRestStates?: boolean;
  /** Told when a block's rest or its selected rows are done. */
  readonly onWork?: ((kind: "restForward" | "selectedForward") => void) | undefined;
}

/** Keys and values of rows, `[N, d]` each, or in heads. */
export interface Keys {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Queries, keys and values of rows, `[N, d]` each. */
export interface Projected extends Keys {
  readonly query: Tensor;
}

/** Keys and values of a block's rest, `[count, d]` each: constants for backward. Null where the block has no rest. */
export type RestKeys = Keys | null;

/** Queries, keys and values of the selected rows, with gradients where they are on. */
export function projectSelected(run: LayerRun, hidden: Tensor): Projected {
  return scope(() => {
    const { layer, random } = run;
    const input = layer.attentionInput(hidden);
    // Keys first: an adapter's dropout then draws the same numbers for them when they are projected alone.
    const keys = selectedKeys(run, input);
    return { query: layer.linears.query.forward(input, random?.selected ?? null), ...keys };
  });
}

/** Their keys and values alone. */
export function projectSelectedKeys(run: LayerRun, hidden: Tensor): Keys {
  return scope(() => selectedKeys(run, run.layer.attentionInput(hidden)));
}

function selectedKeys({ layer, batch, random }: LayerRun, input: Tensor): Keys {
  const keys = keysOf(layer, input, random?.selected ?? null);
  stopGradients(batch, keys.key, keys.value);
  return keys;
}

function keysOf({ linears: { key, value } }: TransformerLayer, input: Tensor, random: Generator | null): Keys {
  return { key: key.forward(input, random), value: value.forward(input, random) };
}

/** Whether a layer's keys and values are other ones each time that they are made. */
export function hasRandomKeys({ linears: { key, value } }: TransformerLayer): boolean {
  return [key, value].some(({ adapters }) => adapters.some(({ hasDropout }) => hasDropout));
}

/** Sets the gradient to zero, in a batch for masked mode, at the rows that are not selected. */
export function stopGradients(batch: PackedBatch, ...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    if (batch.gradientStops !== null && tensor.requiresGrad) zeroGradAt(tensor, batch.gradientStops);
  }
}

/**
 * Keys and values of a block's rest, made of the layer's input `[N_rest, d]`. Where an adapter has dropout, its generator
 * has to be where it was before the block.
 */
export function projectRest({ layer, random }: LayerRun, block: Block, rest: Tensor | null): RestKeys {
  if (rest === null || block.rest.count === 0) return null;
  return noGrad(() => scope(() => keysOf(layer, layer.attentionInput(rowsOf(rest, block.rest)), random?.rest ?? null)));
}

/** What {@linkcode attend} works on. */
export interface Attending<Result> {
  readonly projected: Projected;
  /** The layer's input at the rest. */
  readonly rest: Tensor | null;
  /** Where the layer's output at the rest goes; null: nothing reads it. */
  readonly restOutput: Tensor | null;
  /** What is kept of a block. */
  readonly keep: (attended: Attended) => Result;
}

/** A block after attention. */
export interface Attended {
  readonly block: Block;
  /** Attention's result at its selected rows, `[count, d]`, computed when it is asked for. */
  readonly context: () => Tensor;
  readonly restKeys: RestKeys;
  /** Of the rest's generator before the block; undefined where it is not kept. */
  readonly restState: Uint8Array | undefined;
}

/** Runs attention, and the whole layer for the rest; gives what is kept of each block. */
export function attend<Result>(run: LayerRun, { projected, rest, restOutput, keep }: Attending<Result>): Result[] {
  return run.batch.layout.blocks.map((block) =>
    scope(() => {
      const restState = run.keepsRestStates ? run.random?.rest.state() : undefined;
      const { joined, restKeys } = runRest(run, block, projected, { input: rest, output: restOutput });
      run.onWork?.("restForward");
      const context = (): Tensor => attendSelected(run, block, { ...projected, ...joined });
      const result = keep({ block, context, restKeys, restState });
      run.onWork?.("selectedForward");
      return result;
    })
  );
}

/** Runs the whole layer for the rest alone. */
export function forwardRest(run: LayerRun, keys: Keys, rest: RestStates): void {
  for (const block of run.batch.layout.blocks) scope(() => void runRest(run, block, keys, rest));
}

/** The layer's input at the rest, and where its output goes; null: there is none, nothing reads it. */
export interface RestStates {
  readonly input: Tensor | null;
  readonly output: Tensor | null;
}

interface RestRun {
  /** Keys and values of the block's sequences, in heads. */
  readonly joined: Keys;
  readonly restKeys: RestKeys;
}

function runRest(run: LayerRun, block: Block, keys: Keys, { input, output }: RestStates): RestRun {
  if (input === null || block.rest.count === 0) return { joined: joinKeys(run, block, keys, null), restKeys: null };
  return scope(() => {
    const rows = rowsOf(input, block.rest);
    const normed = noGrad(() => run.layer.attentionInput(rows));
    const restKeys = noGrad(() => keysOf(run.layer, normed, run.random?.rest ?? null));
    const joined = joinKeys(run, block, keys, restKeys);
    if (output !== null) noGrad(() => finishRest(run, block, joined, { rows, normed, output }));
    return { joined, restKeys };
  });
}

// Keys and values of a block's sequences in heads: first the prefix, then the selected positions', then the rest's.
function joinKeys({ model, layer }: LayerRun, block: Block, keys: Keys, rest: RestKeys): Keys {
  const prefix = layer.prefix.rows;
  const join = (selected: Tensor, name: keyof Keys): Tensor =>
    scope(() => {
      const parts = [
        ...(prefix ? [ofEach(block.sequences, to(prefix[name], { dtype: selected.dtype }))] : []),
        toRectangle(rowsOf(selected, block.selected), block.selected),
        ...(rest ? [toRectangle(rest[name], block.rest)] : []),
      ];
      return joinRows(parts.map((part) => splitHeads(part, model.numAttentionHeads)), 2);
    });
  return { key: join(keys.key, "key"), value: join(keys.value, "value") };
}

// The same rows for each sequence, `[sequences, P, d]`.
function ofEach(sequences: number, rows: Tensor): Tensor {
  return expand(unsqueeze(rows, 0), [sequences, ...rows.shape]);
}

// A block's bias at the keys that there are: those of a prefix come first, and some layers have none.
function biasAt(bias: Tensor | null, { key }: Keys): Tensor | null {
  if (bias === null) return null;
  const [known, count] = [bias.length(3), key.length(2)];
  return known === count ? bias : narrow(bias, 3, known - count, count);
}

interface RestRows {
  readonly rows: Tensor;
  /** What queries are made of. */
  readonly normed: Tensor;
  readonly output: Tensor;
}

function finishRest(
  { model, layer, random }: LayerRun,
  block: Block,
  { key, value }: Keys,
  { rows, normed, output }: RestRows,
): void {
  scope(() => {
    const context = scope(() => {
      const query = layer.linears.query.forward(normed, random?.rest ?? null);
      const inHeads = splitHeads(toRectangle(query, block.rest), model.numAttentionHeads);
      const options = {
        bias: biasAt(block.restBias, { key, value }),
        dropout: model.attentionDropout,
        random: random?.rest ?? null,
      };
      return fromRectangle(attention(inHeads, key, value, options), block.rest);
    });
    copy_(rowsOf(output, block.rest), layer.afterAttention(rows, context, random?.rest ?? null));
  });
}

function attendSelected({ model, random }: LayerRun, block: Block, { query, key, value }: Projected): Tensor {
  return scope(() => {
    const rows = toRectangle(rowsOf(query, block.selected), block.selected);
    const bias = biasAt(block.selectedBias, { key, value });
    const options = { bias, dropout: model.attentionDropout, random: random?.selected ?? null };
    const context = attention(splitHeads(rows, model.numAttentionHeads), key, value, options);
    return fromRectangle(context, block.selected);
  });
}

/** Gradients of the selected rows' queries, keys and values, `[N_selected, d]` each, and of the layer's prefix. */
export interface AttendGradient extends AttentionGradient {
  /** `[P, d]`; null where the layer has no prefix. */
  readonly prefix: PrefixRows | null;
}

/**
 * Gradients from that of the selected rows' context. Dropout's generator has to be where it was before attention.
 *
 * @param restKeysOf gives the keys and values of a block's rest, which the caller owns
 */
export function attendBackward(
  run: LayerRun,
  projected: Projected,
  gradient: Tensor,
  restKeysOf: (block: Block, index: number) => RestKeys,
): AttendGradient {
  return scope(() => {
    const blocks = run.batch.layout.blocks.map((block, index) =>
      scope(() => blockBackward(run, block, { projected, gradient, restKeys: restKeysOf(block, index) }))
    );
    return {
      query: joinRows(blocks.map(({ query }) => query)),
      key: joinRows(blocks.map(({ key }) => key)),
      value: joinRows(blocks.map(({ value }) => value)),
      prefix: blocks.map(({ prefix }) => prefix).reduce(sumOfPrefixes),
    };
  });
}

interface BlockBackward {
  readonly projected: Projected;
  readonly gradient: Tensor;
  readonly restKeys: RestKeys;
}

function blockBackward(run: LayerRun, block: Block, { projected, gradient, restKeys }: BlockBackward): AttendGradient {
  const { model, layer, random } = run;
  const part: PartOfBlock = block.selected;
  const heads = model.numAttentionHeads;
  const { key, value } = joinKeys(run, block, projected, restKeys);
  const query = splitHeads(toRectangle(rowsOf(projected.query, part), part), heads);
  const ofContext = splitHeads(toZeroRectangle(rowsOf(gradient, part), part), heads);
  const bias = biasAt(block.selectedBias, { key, value });
  const options = { bias, dropout: model.attentionDropout, random: random?.selected ?? null };
  const { rows: prefix, length } = layer.prefix;
  const padded = attentionGradient(query, key, value, ofContext, length + part.width, options);
  return {
    query: fromRectangle(padded.query, part),
    key: fromRectangle(rowsAfter(padded.key, block, length), part),
    value: fromRectangle(rowsAfter(padded.value, block, length), part),
    prefix: prefix && {
      key: sumOfFirst(padded.key, block, prefix.key),
      value: sumOfFirst(padded.value, block, prefix.value),
    },
  };
}

// Of `[sequences * (P + selected.width), d]` those after each sequence's first P rows.
function rowsAfter(rows: Tensor, block: Block, count: number): Tensor {
  if (count === 0) return rows;
  const after = narrow(bySequence(rows, block), 1, count, block.selected.width);
  return reshape(after, [block.sequences * block.selected.width, rows.length(1)]);
}

// The first P of each sequence, added up: those of a prefix, which the sequences share.
function sumOfFirst(rows: Tensor, block: Block, prefix: Tensor): Tensor {
  return sumOver(narrow(bySequence(rows, block), 1, 0, prefix.length(0)), [0], false, { dtype: prefix.dtype });
}

function bySequence(rows: Tensor, { sequences }: Block): Tensor {
  return view(rows, [sequences, -1, rows.length(1)]);
}

function sumOfPrefixes(a: PrefixRows | null, b: PrefixRows | null): PrefixRows | null {
  return a && b && { key: add_(a.key, b.key), value: add_(a.value, b.value) };
}

/** Rows of all blocks below each other, or tensors side by side in another dimension. */
export function joinRows(parts: readonly Tensor[], dimension = 0): Tensor {
  const [only] = parts;
  return parts.length === 1 && only ? only : cat(parts, dimension);
}
