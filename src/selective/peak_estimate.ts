// The peak memory of a training step, before it is made.

import type { SequenceClassifier } from "../models/contract.ts";
import { namedParameters, parameterBytes, trainedParameters } from "../nn/module.ts";
import type { ActivationMode } from "./gradients.ts";
import { logitRows } from "./logit_rows.ts";
import type { KeptStates } from "./kept_states.ts";
import {
  keepsRest,
  layerNumbers,
  type PlannedStep,
  type Shape,
  shapeOf,
  sum,
  trainedBytes,
  trainedLayers,
} from "./step_shape.ts";

/** A way to have activations for backward. */
export interface ActivationPlan {
  readonly activations: ActivationMode;
  readonly keptStates: KeptStates;
}

// By how much a moment grows through what is too small to be counted one by one.
const uncounted = 1.02;

/**
 * The most bytes that will live in tensors in a step, weights, gradients and AdamW's state included: counted where
 * something is kept, estimated where operators work. What is measured lies up to a tenth below, on the CPU.
 */
export function estimatePeak(model: SequenceClassifier, step: PlannedStep, plan: ActivationPlan): number {
  const shape = shapeOf(model, step);
  const gradients = gradientBytes(model, shape);
  const resting = parameterBytes(model) + 2 * trainedBytes(model) + inputBytes(shape);
  const kept = keptBytes(shape, plan);
  const below = (index: number): number => sum(kept.slice(0, index));
  const moments = layerNumbers(shape).map((index) => below(index) + forwardBytes(shape, plan, index));
  moments.push(embeddingBytes(shape), below(shape.layers) + headBytes(model, shape));
  let accumulated = gradients.head;
  for (const index of trainedLayers(shape).toReversed()) {
    const inLayer = gradients.layers[index] ?? 0;
    const others = gradients.tied + (step.optimizerInBackward ? 0 : accumulated);
    moments.push(below(index + 1) + rebuildingBytes(shape, plan, index) + others);
    moments.push(below(index + 1) + tailBackwardBytes(shape, plan, index) + others + inLayer);
    moments.push(
      below(index) + attentionBackwardBytes(shape, plan) + rebuiltBytes(shape, plan, index) + others + inLayer,
    );
    accumulated += inLayer;
  }
  const updated = gradients.embeddings + (step.optimizerInBackward ? 0 : accumulated);
  return resting + Math.ceil(uncounted * Math.max(...moments, updated));
}

interface GradientBytes {
  readonly head: number;
  /** Of the embeddings', what is there from the head on. */
  readonly tied: number;
  readonly layers: readonly number[];
  readonly embeddings: number;
}

// The vocabulary's gradient has the rows that were used, unless a head is tied to it.
function gradientBytes(model: SequenceClassifier, { selected, size }: Shape): GradientBytes {
  const { backbone, head } = model;
  const tied = tiedBytes(model);
  const ofEmbeddings = trainedParameters(backbone.embeddings).map((each) => {
    const isVocabulary = each.shape[0] === backbone.vocabSize && tied === 0;
    return isVocabulary ? Math.min(each.byteLength, 3 * selected * size * 4) : each.byteLength;
  });
  return { head: trainedBytes(head), tied, layers: backbone.layers.map(trainedBytes), embeddings: sum(ofEmbeddings) };
}

// The bytes of the vocabulary when a head is tied to it and it trains.
function tiedBytes(model: SequenceClassifier): number {
  const own = new Set(Object.values(model.tiedKeys ?? {}));
  return sum([...namedParameters(model)].map(([key, each]) => own.has(key) && each.requiresGrad ? each.byteLength : 0));
}

// A language model's head: what it reads, some rows of logits with two gradients of theirs, and its weight's gradient.
function headBytes(model: SequenceClassifier, { selected, size, vocabulary, weightBytes }: Shape): number {
  if (vocabulary === 0) return 0;
  const rows = Math.min(selected, logitRows(model));
  const gradient = trainedBytes(model.head) + tiedBytes(model);
  const logits = weightBytes * rows * vocabulary;
  const accumulated = rows < selected ? gradient : 0;
  return weightBytes * 3 * selected * size + accumulated + Math.max(3 * logits, logits + gradient);
}

// Tokens, types and positions as int64, and which rows the head reads; where attention is causal, what each row sees.
function inputBytes({ selected, rest, longest, isCausal, weightBytes }: Shape): number {
  return (selected + rest) * (32 + (isCausal ? longest * weightBytes : 0)) + selected * 20;
}

function keptBytes(shape: Shape, { activations, keptStates }: ActivationPlan): number[] {
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

// While a layer runs forward: its input and output, what attention and the feed-forward work with, and what is kept.
function forwardBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  const { size, inner, selected, rest, layers, lowest, elementBytes } = shape;
  const isStored = plan.activations === "store" && index >= lowest;
  const output = index < layers - 1 ? rest * size : 0;
  const states = elementBytes * ((selected + rest) * size + output);
  const keys = isStored ? elementBytes * rest * 2 * size : 0;
  const block = elementBytes * selected * 4 * size + restWorkspace(shape, output > 0);
  const tail = selected * (isStored ? elementBytes * (4 * size + 2 * inner) : tailBytes(shape));
  return states + keys + Math.max(block, tail);
}

// A row of the selected ones after attention, without a graph.
function tailBytes({ size, inner, elementBytes, copyBytes }: Shape): number {
  return elementBytes * (3 * size + inner) + copyBytes * (size + inner);
}

// A block's rest: its keys and values, alone and in heads with those of the selected rows, then attention or the tail.
function restWorkspace(shape: Shape, hasOutput: boolean): number {
  const { size, heads, longest, blockRows, blockPrefix, selected, rest, elementBytes, copyBytes, hasDropout } = shape;
  const rows = blockRows * rest / (selected + rest);
  const joined = blockPrefix + blockRows;
  const keys = 2 * size * (elementBytes * (joined + rows) + copyBytes * joined);
  const scores = hasDropout ? 2 * heads * longest * (copyBytes || elementBytes) : 0;
  const attention = size * (2 * elementBytes + Math.max(5 * elementBytes, 4 * copyBytes)) + scores;
  return keys + (hasOutput ? rows * Math.max(attention, 2 * elementBytes * size + tailBytes(shape)) : 0);
}

// Words, types and positions of the rest, and the norm of their sum.
function embeddingBytes({ selected, rest, size, elementBytes, weightBytes, hasDropout }: Shape): number {
  return selected * size * elementBytes + rest * size * (4 * weightBytes + (hasDropout ? 1 : 0));
}

// While the input of the rest is made again, beside what is kept.
function rebuildingBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  const { size, selected, elementBytes } = shape;
  const count = rebuiltStates(shape, plan, index);
  if (count === 0) return 0;
  const embedded = index - count < 0 ? embeddingBytes(shape) : 0;
  const run = index > 0 ? elementBytes * selected * 5 * size + restWorkspace(shape, true) : 0;
  return Math.max(embedded, rebuiltBytes(shape, plan, index) + run);
}

// What follows attention, backward, with its graph where that is made again.
function tailBackwardBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  const { size, inner, selected, elementBytes, copyBytes, hasGelu } = shape;
  const graph = plan.activations === "store" ? 0 : graphBytes(shape) + elementBytes * selected * size;
  const inActivation = hasGelu ? 0 : elementBytes * inner;
  const work = selected * (elementBytes * (2 * size + inner) + Math.max(inActivation, copyBytes * (size + inner)));
  return graph + work + rebuiltBytes(shape, plan, index);
}

// Of what follows attention, beside the layer's input and attention's result: the norms' and the feed-forward's inputs.
function graphBytes({ size, inner, selected, elementBytes, hasDropout }: Shape): number {
  return selected * (elementBytes * (3 * size + inner) + (hasDropout ? 2 * size : 0) + 16);
}

// Attention backward, when the graph of what follows is free: the layer's input, queries, keys, values and gradients.
function attentionBackwardBytes(shape: Shape, { activations }: ActivationPlan): number {
  const { size, heads, longest, blockRows, blockPrefix, selected, rest, elementBytes, copyBytes, hasDropout } = shape;
  const queries = blockRows * selected / (selected + rest);
  const joined = blockPrefix + blockRows;
  const scores = queries * (hasDropout ? 3.25 : 3) * heads * longest * (copyBytes || elementBytes);
  const keys = 2 * size * (elementBytes * (joined + blockRows - queries) + copyBytes * joined);
  const input = elementBytes * size * (selected + rest * (activations === "store" ? 2 : 1));
  return input + Math.max(elementBytes * selected * 8 * size + keys + scores, elementBytes * selected * 11 * size);
}

function rebuiltBytes(shape: Shape, plan: ActivationPlan, index: number): number {
  return rebuiltStates(shape, plan, index) * shape.rest * shape.size * shape.elementBytes;
}

// The states between the next kept one below and this layer, while it is at work.
function rebuiltStates(shape: Shape, { activations, keptStates }: ActivationPlan, index: number): number {
  if (activations === "store") return 0;
  let count = 0;
  for (let below = index; below >= 0 && !keepsRest(shape, keptStates, below); below--) count++;
  return count;
}
