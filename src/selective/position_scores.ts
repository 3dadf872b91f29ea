// Scores of positions, by which policies select them: the attention that they get, the gradient that reaches them.

import { OptionError } from "../errors.ts";
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
import { poolRows, throughLayers } from "./forward.ts";
import { runLayer } from "./run_layer.ts";
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
        if (layer !== backbone.layers.at(-1)) hidden = runLayer(run, hidden, true);
      }
      return sums;
    })
  );
}

function addReceived(run: LayerRun, hidden: Tensor, sequences: readonly Sequence[], sums: number[][]): void {
  scope(() => {
    const { query, key } = projectSelected(run, hidden);
    for (const { sequence, from, length, tokens } of rowsOfSequences(run.model, sequences)) {
      const ofSequence = sums[sequence] ?? [];
      scope(() => {
        const received = receivedAttention(run, narrow(query, 0, from, length), narrow(key, 0, from, length));
        for (const [position, value] of toNumbers(received).slice(tokens).entries()) {
          ofSequence[position] = (ofSequence[position] ?? 0) + value;
        }
      });
    }
  });
}

// `[L]` of one sequence's queries and keys `[L, d]`, what keys before the sequence get left out.
function receivedAttention({ model, layer }: LayerRun, query: Tensor, key: Tensor): Tensor {
  const { numAttentionHeads: heads, isCausal } = model;
  const [length, width] = [query.length(0), query.length(1) / heads];
  const before = layer.prefix.rows;
  const keys = before ? cat([to(before.key, { dtype: key.dtype }), key]) : key;
  const inHeads = (rows: Tensor): Tensor => transpose(view(computable(rows), [rows.length(0), heads, width]), 0, 1);
  const scores = matmul(mulScalar(inHeads(query), width ** -0.5), transpose(inHeads(keys), 1, 2));
  if (isCausal) add_(scores, laterHidden(scores));
  const received = sumOver(mulScalar(softmax(scores, -1), 1 / heads), [0, 1]);
  return narrow(received, 0, layer.prefix.length, length);
}

// -Infinity at the keys after each query's own.
function laterHidden(scores: Tensor): Tensor {
  const [queries, keys] = [scores.length(1), scores.length(2)];
  const isLater = (at: number): boolean => at % keys > Math.floor(at / keys) + keys - queries;
  const bias = Array.from({ length: queries * keys }, (_, at) => isLater(at) ? -Infinity : 0);
  return tensorFrom(bias, { shape: [queries, keys], dtype: scores.dtype, device: scores.device });
}

// Where the rows of each sequence are, and how many of them are tokens before the text.
function rowsOfSequences(
  backbone: Backbone,
  sequences: readonly Sequence[],
): { readonly sequence: number; readonly from: number; readonly length: number; readonly tokens: number }[] {
  const { tokenIds: { length: tokens } } = precedingOf(backbone);
  let from = 0;
  return packedOrder(sequences).map((sequence) => {
    const length = tokens + (sequences[sequence]?.inputIds.length ?? 0);
    return { sequence, from: (from += length) - length, length, tokens };
  });
}

/**
 * The length of the loss's gradient at each position of the last layer's input, from a pass through that layer and the
 * head alone (TokenSeek, ICLR 2026, gradient score). No parameter gets a gradient.
 *
 * @throws {OptionError} where a network beside the backbone trains
 *
 * @throws {OptionError} where a network beside the backbone trains
 */
export function gradientScores(
  model: SequenceClassifier,
  sequences: readonly Sequence[],
  lossOf: LossOfSequences,
): number[][] {
  if (model.backbone.side.network !== null) {
    throw new OptionError(
      "positions by gradient or importance need a gradient in the model's own layers, beside which another network trains: " +
        "choose them in another way",
    );
  }
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
      return bySequence(backbone, lengths, sequences);
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
  const output = run ? runLayer(run, { selected: input, rest: null }, false).selected : input;
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
function bySequence(backbone: Backbone, rows: readonly number[], sequences: readonly Sequence[]): number[][] {
  const found: number[][] = sequences.map(() => []);
  for (const { sequence, from, length, tokens } of rowsOfSequences(backbone, sequences)) {
    found[sequence] = rows.slice(from + tokens, from + length);
  }
  return found;
}
