// The bytes of a step's moments: counted where something is kept, estimated where operators work.

import type { SequenceClassifier } from "../models/contract.ts";
import { namedParameters } from "../nn/module.ts";
import { logitRows } from "./logit_rows.ts";
import type { ActivationPlan } from "./peak_estimate.ts";
import { keepsRest, layerNumbers, type Shape, sum, trainedBytes } from "./step_shape.ts";

/** The bytes of the vocabulary when a head is tied to it and it trains. */
export function tiedBytes(model: SequenceClassifier): number {
  const own = new Set(Object.values(model.tiedKeys ?? {}));
  return sum([...namedParameters(model)].map(([key, each]) => own.has(key) && each.requiresGrad ? each.byteLength : 0));
}

/** A language model's head: what it reads, some rows of logits with two gradients of theirs, and its weight's gradient. */
export function headBytes(model: SequenceClassifier, { selected, size, vocabulary, weightBytes }: Shape): number {
  if (vocabulary === 0) return 0;
  const rows = Math.min(selected, logitRows(model));
  const gradient = trainedBytes(model.head) + tiedBytes(model);
  const logits = weightBytes * rows * vocabulary;
  const accumulated = rows < selected ? gradient : 0;
  return weightBytes * 3 * selected * size + accumulated + Math.max(3 * logits, logits + gradient);
}

/** Tokens, types and positions as int64, and which rows the head reads; where attention is causal, what each row sees. */
export function inputBytes({ selected, rest, longest, isCausal, weightBytes }: Shape): number {
  return (selected + rest) * (32 + (isCausal ? longest * weightBytes : 0)) + selected * 20;
}

/** What is kept of each layer between forward and backward. */
export function keptBytes(shape: Shape, { activations, keptStates }: ActivationPlan): number[] {
  const { size, selected, rest, lowest, elementBytes } = shape;
  return layerNumbers(shape).map((index) => {
    if (index < lowest) return 0;
    if (activations === "store") {
      return elementBytes * (rest + selected) * 2 * size + graphBytes(shape);
    }
    const state = keepsRest(shape, keptStates, index) ? rest * size : 0;
    return elementBytes * (state + selected * size * ((index > 0 ? 1 : 0) + (rest > 0 ? 1 : 0)));
  });
}

/** While a layer runs forward: its input and output, what attention and the feed-forward work with, and what is kept. */
export function forwardBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  const { size, inner, atEnds, selected, rest, layers, lowest, elementBytes } = shape;
  const isStored = plan.activations === "store" && index >= lowest;
  const output = index < layers - 1 ? rest * size : 0;
  const states = elementBytes * ((selected + rest) * size + output);
  const keys = isStored ? elementBytes * rest * 2 * size : 0;
  const block = elementBytes * selected * 4 * size + restWorkspace(shape, output > 0);
  const tail = selected * (isStored ? elementBytes * (4 * size + 2 * inner + atEnds) : tailBytes(shape));
  return states + keys + Math.max(block, tail);
}

/** A row of the selected ones after attention, without a graph. */
export function tailBytes({ size, inner, elementBytes, copyBytes }: Shape): number {
  return elementBytes * (3 * size + inner) + copyBytes * (size + inner);
}

// A block's rest: its keys and values, alone and in heads with those of the selected rows, then attention or the tail.
function restWorkspace(shape: Shape, hasOutput: boolean): number {
  const { size, heads, longest, blockRows, blockPrefix, selected, rest, elementBytes, copyBytes, hasDropout } = shape;
  const joined = blockPrefix + blockRows;
  const rows = blockRows * rest / (selected + rest);
  const keys = 2 * size * (elementBytes * (joined + rows) + copyBytes * joined);
  const scores = hasDropout ? 2 * heads * longest * (copyBytes || elementBytes) : 0;
  const attention = size * (2 * elementBytes + Math.max(5 * elementBytes, 4 * copyBytes)) + scores;
  return keys + (hasOutput ? rows * Math.max(attention, 2 * elementBytes * size + tailBytes(shape)) : 0);
}

/** Words, types and positions of the rest, and the norm of their sum. */
export function embeddingBytes({ selected, rest, size, elementBytes, weightBytes, hasDropout }: Shape): number {
  return selected * size * elementBytes + rest * size * (4 * weightBytes + (hasDropout ? 1 : 0));
}

/** While the input of the rest is made again, beside what is kept. */
export function rebuildingBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  const { size, selected, elementBytes } = shape;
  const count = rebuiltStates(shape, plan, index);
  if (count === 0) return 0;
  const embedded = index - count < 0 ? embeddingBytes(shape) : 0;
  const run = index > 0 ? elementBytes * selected * 5 * size + restWorkspace(shape, true) : 0;
  return Math.max(embedded, rebuiltBytes(shape, plan, index) + run);
}

/** What follows attention, backward, with its graph where that is made again. */
export function tailBackwardBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  const { size, inner, selected, elementBytes, copyBytes, hasGelu } = shape;
  const graph = plan.activations === "store" ? 0 : graphBytes(shape) + elementBytes * selected * size;
  const inActivation = hasGelu ? 0 : elementBytes * inner;
  const work = selected * (elementBytes * (2 * size + inner) + Math.max(inActivation, copyBytes * (size + inner)));
  return graph + work + rebuiltBytes(shape, plan, index);
}

// Of what follows attention, beside the layer's input and attention's result: the norms' and the feed-forward's inputs.
function graphBytes({ size, inner, atEnds, selected, elementBytes, hasDropout }: Shape): number {
  return selected * (elementBytes * (3 * size + inner + atEnds) + (hasDropout ? 2 * size : 0) + 16);
}

/** Attention backward, when the graph of what follows is free: the layer's input, queries, keys, values and gradients. */
export function attentionBackwardBytes(shape: Shape, { activations }: ActivationPlan): number {
  const { size, heads, longest, blockRows, blockPrefix, selected, rest, elementBytes, copyBytes, hasDropout } = shape;
  const joined = blockPrefix + blockRows;
  const queries = blockRows * selected / (selected + rest);
  const scores = queries * (hasDropout ? 3.25 : 3) * heads * longest * (copyBytes || elementBytes);
  const keys = 2 * size * (elementBytes * (joined + blockRows - queries) + copyBytes * joined);
  const input = elementBytes * size * (selected + rest * (activations === "store" ? 2 : 1));
  return input + Math.max(elementBytes * selected * 8 * size + keys + scores, elementBytes * selected * 11 * size);
}

/** The states of the rest that are there while a layer's is made again. */
export function rebuiltBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  return rebuiltStates(shape, plan, index) * shape.rest * shape.size * shape.elementBytes;
}

// The states between the next kept one below and this layer, while it is at work.
function rebuiltStates(shape: Shape, { activations, keptStates }: ActivationPlan, index: number): number {
  if (activations === "store") return 0;
  let count = 0;
  for (let below = index; below >= 0 && !keepsRest(shape, keptStates, below); below--) count++;
  return count;
}
