// Scores of positions, by which policies select them: the attention that they get, the gradient that reaches them.

import type { Backbone, SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { precedingOf } from "../models/preceding.ts";
import { computable } from "../nn/attention.ts";
import {
  add_,
  backward,
  cat,
  detach,
  linalgVectorNorm,
  matmul,
  mulScalar,
  narrow,
  noGrad,
  requiresGrad_,
  scope,
  softmax,
  sumOver,
  type Tensor,
  tensorFrom,
  to,
  toNumbers,
  transpose,
  view,
  withGrad,
} from "../torch/mod.ts";
import { type LayerRun, projectSelected } from "./attend.ts";
import { packBatch, type PackedBatch, packedOrder, packingFor, type Sequence } from "./batch.ts";
import { poolRows, runLayer, throughLayers } from "./forward.ts";
import { allPositions } from "./positions.ts";

/**
 * The loss, one element, of logits of some sequences, in which every position is selected; the first of them has the
 * number `from`.
 */
export type LossOfSequences = (logits: Tensor, from: number, count: number) => Tensor;

const scoredLayers = 2;

// So many sequences are scored together: few enough that what a pass keeps is less than what a step does.
const together = 8;

/**
 * The attention that each position gets in the last two layers: of all queries of its sequence, mean over the heads
 * (TokenSeek, ICLR 2026, context score).
 */
export function attentionScores(model: SequenceClassifier, sequences: readonly Sequence[]): number[][] {
  return inParts(sequences, (some) => attentionScoresOf(model, some));
}

function attentionScoresOf(model: SequenceClassifier, sequences: readonly Sequence[]): number[][] {
  return noGrad(() =>
    scope(() => {
      const { backbone } = model;
      const batch = packWhole(model, sequences);
      const from = Math.max(0, backbone.layers.length - scoredLayers);
      let hidden = throughLayers(backbone, batch, null, from);
      const sums = sequences.map(({ inputIds }) => new Array<number>(inputIds.length).fill(0));
      for (const layer of backbone.layers.slice(from)) {
        const run = { model: backbone, layer, batch, random: null };
        addReceived(run, hidden.selected, sequences, sums);
        if (layer !== backbone.layers.at(-1)) hidden = runLayer(run, hidden, false);
      }
      return sums;
    })
  );
}

function addReceived(run: LayerRun, hidden: Tensor, sequences: readonly Sequence[], sums: number[][]): void {
  scope(() => {
    const { query, key } = projectSelected(run, hidden);
    const prefix = run.layer.prefix.rows?.key;
    for (const { sequence, start, count, text } of rowsOfSequences(run.model, sequences)) {
      const ofSequence = sums[sequence] ?? [];
      scope(() => {
        const own = narrow(key, 0, start, count);
        const keys = prefix ? cat([to(prefix, { dtype: own.dtype }), own]) : own;
        const received = toNumbers(receivedAttention(run.model, narrow(query, 0, start, count), keys)).slice(-text);
        received.forEach((value, position) => ofSequence[position] = (ofSequence[position] ?? 0) + value);
      });
    }
  });
}

// `[K]` of one sequence's queries `[L, d]` and keys `[K, d]`, the last L of which are its own.
function receivedAttention({ numAttentionHeads: heads, isCausal }: Backbone, query: Tensor, key: Tensor): Tensor {
  const width = query.length(1) / heads;
  const inHeads = (rows: Tensor): Tensor => transpose(view(computable(rows), [rows.length(0), heads, width]), 0, 1);
  const scores = matmul(mulScalar(inHeads(query), width ** -0.5), transpose(inHeads(key), 1, 2));
  if (isCausal) add_(scores, laterHidden(query.length(0), key.length(0), scores));
  return sumOver(mulScalar(softmax(scores, -1), 1 / heads), [0, 1]);
}

function laterHidden(queries: number, keys: number, { dtype, device }: Tensor): Tensor {
  const bias = Array.from(
    { length: queries * keys },
    (_, at) => at % keys > Math.floor(at / keys) + keys - queries ? -Infinity : 0,
  );
  return tensorFrom(bias, { shape: [queries, keys], dtype, device });
}

/**
 * The length of the loss's gradient at each position of the last layer's input, from a pass through that layer and the
 * head alone (TokenSeek, ICLR 2026, gradient score). No parameter gets a gradient.
 */
export function gradientScores(
  model: SequenceClassifier,
  sequences: readonly Sequence[],
  lossOf: LossOfSequences,
): number[][] {
  return inParts(
    sequences,
    (some, from) => gradientScoresOf(model, some, (logits) => lossOf(logits, from, some.length)),
  );
}

function gradientScoresOf(
  model: SequenceClassifier,
  sequences: readonly Sequence[],
  lossOf: (logits: Tensor) => Tensor,
): number[][] {
  return noGrad(() =>
    scope(() => {
      const { backbone } = model;
      const batch = packWhole(model, sequences);
      const last = backbone.layers.length - 1;
      const input = requiresGrad_(detach(throughLayers(backbone, batch, null, last).selected));
      const loss = withGrad(() => lossOf(headOf(model, batch, backbone.layers[last], input)));
      backward(loss, { inputs: [input] });
      const { grad } = input;
      const lengths = grad === null ? [] : toNumbers(linalgVectorNorm(grad, 2, [1]));
      return bySequence(lengths, backbone, sequences);
    })
  );
}

function headOf(
  model: SequenceClassifier,
  batch: PackedBatch,
  layer: TransformerLayer | undefined,
  input: Tensor,
): Tensor {
  const { backbone } = model;
  const run = layer && { model: backbone, layer, batch, random: null };
  const output = run ? runLayer(run, { selected: input, rest: null }, true).selected : input;
  return model.classify(poolRows(model, batch, output), null);
}

function inParts(
  sequences: readonly Sequence[],
  score: (some: readonly Sequence[], from: number) => number[][],
): number[][] {
  const starts = sequences.keys().filter((index) => index % together === 0);
  return starts.toArray().flatMap((from) => score(sequences.slice(from, from + together), from));
}

function packWhole(model: SequenceClassifier, sequences: readonly Sequence[]): PackedBatch {
  const selected = allPositions(sequences.map(({ inputIds }) => inputIds.length));
  return packBatch(sequences, { selected, ...packingFor(model) });
}

// Numbers of packed rows, by sequence and position.
function bySequence(rows: readonly number[], model: Backbone, sequences: readonly Sequence[]): number[][] {
  const found: number[][] = sequences.map(() => []);
  for (const { sequence, start, count, text } of rowsOfSequences(model, sequences)) {
    found[sequence] = rows.slice(start + count - text, start + count);
  }
  return found;
}

interface SequenceRows {
  readonly sequence: number;
  readonly start: number;
  readonly count: number;
  /** The last of them, those of the text: tokens that a method put before it have no score. */
  readonly text: number;
}

// The packed rows of each sequence.
function rowsOfSequences(model: Backbone, sequences: readonly Sequence[]): SequenceRows[] {
  const tokens = precedingOf(model).tokenIds.length;
  let end = 0;
  return packedOrder(sequences).map((sequence) => {
    const text = sequences[sequence]?.inputIds.length ?? 0;
    const [start, count] = [end, tokens + text];
    end += count;
    return { sequence, start, count, text };
  });
}
