// Scores of positions, by which policies select them: the attention that they get, the gradient that reaches them.

import type { Backbone, SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { computable } from "../nn/attention.ts";
import {
  add_,
  backward,
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
    let start = 0;
    for (const sequence of packedOrder(sequences)) {
      const length = sequences[sequence]?.inputIds.length ?? 0;
      const [ofSequence, from] = [sums[sequence] ?? [], start];
      scope(() => {
        const received = receivedAttention(run.model, narrow(query, 0, from, length), narrow(key, 0, from, length));
        toNumbers(received).forEach((value, position) => ofSequence[position] = (ofSequence[position] ?? 0) + value);
      });
      start += length;
    }
  });
}

// `[L]` of one sequence's queries and keys `[L, d]`.
function receivedAttention({ numAttentionHeads: heads, isCausal }: Backbone, query: Tensor, key: Tensor): Tensor {
  const [length, width] = [query.length(0), query.length(1) / heads];
  const inHeads = (rows: Tensor): Tensor => transpose(view(computable(rows), [length, heads, width]), 0, 1);
  const scores = matmul(mulScalar(inHeads(query), width ** -0.5), transpose(inHeads(key), 1, 2));
  if (isCausal) add_(scores, laterHidden(length, scores));
  return sumOver(mulScalar(softmax(scores, -1), 1 / heads), [0, 1]);
}

function laterHidden(length: number, { dtype, device }: Tensor): Tensor {
  const bias = Array.from(
    { length: length * length },
    (_, at) => at % length > Math.floor(at / length) ? -Infinity : 0,
  );
  return tensorFrom(bias, { shape: [length, length], dtype, device });
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
      return bySequence(lengths, sequences);
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
function bySequence(rows: readonly number[], sequences: readonly Sequence[]): number[][] {
  const found: number[][] = sequences.map(() => []);
  let start = 0;
  for (const sequence of packedOrder(sequences)) {
    const length = sequences[sequence]?.inputIds.length ?? 0;
    found[sequence] = rows.slice(start, start += length);
  }
  return found;
}
