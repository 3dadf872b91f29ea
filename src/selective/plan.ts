// Which activations to keep: the cheapest way in time of those that fit a memory budget.

import { OptionError } from "../errors.ts";
import type { Backbone, SequenceClassifier } from "../models/contract.ts";
import { type Module, namedParameters, parameterBytes } from "../nn/module.ts";
import { defaultRowsPerBlock } from "./batch.ts";
import type { ActivationMode, Precision } from "./gradients.ts";
import { isStateKept, type KeptStates, usualKeptStates } from "./kept_states.ts";
import { hasBfloat16Arithmetic } from "../torch/mod.ts";
import { selectionCount, type SelectionSize } from "./positions.ts";

/** A way to have activations for backward. */
export interface ActivationPlan {
  readonly activations: ActivationMode;
  readonly keptStates: KeptStates;
}

/** The step that is planned: its largest batch, and what else takes memory. */
export interface PlannedStep {
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  readonly k: SelectionSize;
  readonly precision: Precision;
  readonly optimizerInBackward: boolean;
  /** The most bytes that may live in tensors, weights and optimizer state included; null: as many as there are. */
  readonly memoryBudget: number | null;
}

// Above this share of a step, recomputing is not worth it while nothing limits the memory.
const worthwhile = 0.15;

// By how much a moment grows through what is too small to be counted one by one.
const uncounted = 1.02;

/**
 * The plan of `auto`: with a budget the fastest way that fits, without one `recompute` where it costs less than 15 % of
 * a step, else `store`. Times are counted in multiplications, bytes estimated (see {@linkcode estimatePeak}).
 *
 * @throws {OptionError} when no way fits the budget
 */
export function planActivations(model: SequenceClassifier, step: PlannedStep): ActivationPlan {
  const shape = shapeOf(model, step);
  const usual: ActivationPlan = { activations: "recompute", keptStates: usualKeptStates(shape.layers) };
  const stored: ActivationPlan = { ...usual, activations: "store" };
  if (step.memoryBudget === null) return extraWork(shape, usual) < worthwhile * stepWork(shape) ? usual : stored;
  const ways = [stored, ...keptStatesOf(shape.layers).map((keptStates) => ({ ...usual, keptStates }))];
  const bySpeed = ways.toSorted((a, b) => extraWork(shape, a) - extraWork(shape, b));
  const { memoryBudget } = step;
  const fitting = bySpeed.find((plan) => estimatePeak(model, step, plan) <= memoryBudget);
  if (fitting !== undefined) return fitting;
  const least = Math.min(...bySpeed.map((plan) => estimatePeak(model, step, plan)));
  throw new OptionError(
    `the memory budget is ${inMebibytes(memoryBudget)}, but a step needs about ${inMebibytes(least)}: allow more, ` +
      `take fewer or shorter texts to a step or a smaller k, update in backward (optimizerInBackward), or use LoRA`,
  );
}

function keptStatesOf(layers: number): KeptStates[] {
  const quarters = [0, 1, 2].map((quarter) => ({ from: Math.floor(layers * quarter / 4), every: 1 }));
  const spaced = [2, 3, 4, 6].map((every) => ({ from: 0, every }));
  return [...quarters, ...spaced].filter(({ every }) => every <= layers);
}

function inMebibytes(bytes: number): string {
  const [tenth, digits] = bytes < 10 * 2 ** 20 ? [10, 1] : [1, 0];
  return `${(Math.ceil(tenth * bytes / 2 ** 20) / tenth).toLocaleString("en", { minimumFractionDigits: digits })} MiB`;
}

// The sizes that bytes and multiplications follow from.
interface Shape {
  readonly layers: number;
  /** The lowest layer that trains: -1 when the embeddings do, the number of layers when only the head does. */
  readonly lowest: number;
  readonly size: number;
  readonly inner: number;
  readonly heads: number;
  readonly hasDropout: boolean;
  readonly selected: number;
  readonly rest: number;
  readonly longest: number;
  readonly blockRows: number;
  readonly weightBytes: number;
  readonly elementBytes: number;
  /** Of an element's copy in the type that is multiplied; 0 where that is its own. */
  readonly copyBytes: number;
}

function shapeOf(model: SequenceClassifier, { lengths, k, precision }: PlannedStep): Shape {
  const { backbone } = model;
  const rows = sum(lengths);
  const selected = sum(lengths.map((length) => selectionCount(length, k)));
  const weightBytes = backbone.dtype === "float64" ? 8 : 4;
  const isNarrow = precision === "bf16";
  return {
    layers: backbone.layers.length,
    lowest: lowestTrained(backbone),
    size: backbone.hiddenSize,
    inner: backbone.intermediateSize,
    heads: backbone.numAttentionHeads,
    hasDropout: backbone.attentionDropout.probability > 0,
    selected,
    rest: rows - selected,
    longest: Math.max(...lengths),
    blockRows: Math.min(rows, Math.max(defaultRowsPerBlock(backbone.device), ...lengths)),
    weightBytes,
    elementBytes: isNarrow ? 2 : weightBytes,
    copyBytes: isNarrow && !hasBfloat16Arithmetic(backbone.device) ? 4 : 0,
  };
}

function lowestTrained({ embeddings, layers }: Backbone): number {
  if (trainedBytes(embeddings) > 0) return -1;
  const lowest = layers.findIndex((layer) => trainedBytes(layer) > 0);
  return lowest < 0 ? layers.length : lowest;
}

// Multiplications: a row through a whole layer, through its keys and values, through its queries, keys and values.
function rowWork({ size, inner }: Shape): { layer: number; keys: number; projections: number } {
  const square = size * size;
  return { layer: 4 * square + 2 * size * inner, keys: 2 * square, projections: 3 * square };
}

function stepWork(shape: Shape): number {
  const { layer, projections } = rowWork(shape);
  const forward = shape.layers * (shape.selected + shape.rest) * layer;
  return forward + trainedLayers(shape).length * shape.selected * (2 * layer + projections);
}

// What recompute multiplies beyond store.
function extraWork(shape: Shape, { activations, keptStates }: ActivationPlan): number {
  if (activations === "store") return 0;
  const { layer, keys, projections } = rowWork(shape);
  const trained = trainedLayers(shape);
  const rebuilt = trained.filter((index) => index > 0 && !keepsRest(shape, keptStates, index));
  return trained.length * (shape.selected * (layer - projections) + shape.rest * keys) +
    rebuilt.length * shape.rest * layer;
}

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
  moments.push(embeddingBytes(shape));
  let accumulated = gradients.head;
  for (const index of trainedLayers(shape).toReversed()) {
    const inLayer = gradients.layers[index] ?? 0;
    const others = step.optimizerInBackward ? 0 : accumulated;
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
  readonly layers: readonly number[];
  readonly embeddings: number;
}

// The vocabulary's gradient has the rows that were used.
function gradientBytes({ backbone, head }: SequenceClassifier, { selected, size }: Shape): GradientBytes {
  const ofPart = (part: Module): number =>
    sum([...namedParameters(part).values()].map((each) => {
      if (!each.requiresGrad) return 0;
      const isVocabulary = each.shape[0] === backbone.vocabSize;
      return isVocabulary ? Math.min(each.byteLength, 3 * selected * size * 4) : each.byteLength;
    }));
  return { head: ofPart(head), layers: backbone.layers.map(ofPart), embeddings: ofPart(backbone.embeddings) };
}

function trainedBytes(part: Module): number {
  return sum([...namedParameters(part).values()].map((each) => each.requiresGrad ? each.byteLength : 0));
}

// Tokens, types and positions as int64, attention's masks, and which rows the head reads.
function inputBytes({ selected, rest }: Shape): number {
  return (selected + rest) * 32 + selected * 20;
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

function keepsRest({ lowest, layers }: Shape, keptStates: KeptStates, index: number): boolean {
  return index > 0 && index === lowest || isStateKept(keptStates, index, layers);
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
  const { size, heads, longest, blockRows, selected, rest, elementBytes, copyBytes, hasDropout } = shape;
  const rows = blockRows * rest / (selected + rest);
  const keys = 2 * size * (elementBytes * (blockRows + rows) + copyBytes * blockRows);
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
  const { size, inner, selected, elementBytes, copyBytes } = shape;
  const graph = plan.activations === "store" ? 0 : graphBytes(shape) + elementBytes * selected * size;
  const work = selected * (elementBytes * (2 * size + inner) + copyBytes * (size + inner));
  return graph + work + rebuiltBytes(shape, plan, index);
}

// Of what follows attention, beside the layer's input and attention's result: the norms' and the feed-forward's inputs.
function graphBytes({ size, inner, selected, elementBytes, hasDropout }: Shape): number {
  return selected * (elementBytes * (3 * size + inner) + (hasDropout ? 2 * size : 0) + 16);
}

// Attention backward, when the graph of what follows is free: the layer's input, queries, keys, values and gradients.
function attentionBackwardBytes(shape: Shape, { activations }: ActivationPlan): number {
  const { size, heads, longest, blockRows, selected, rest, elementBytes, copyBytes, hasDropout } = shape;
  const queries = blockRows * selected / (selected + rest);
  const scores = queries * (hasDropout ? 3.25 : 3) * heads * longest * (copyBytes || elementBytes);
  const keys = 2 * size * (elementBytes * (2 * blockRows - queries) + copyBytes * blockRows);
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

function layerNumbers({ layers }: Shape): number[] {
  return Array.from({ length: layers }, (_, index) => index);
}

function trainedLayers(shape: Shape): number[] {
  return layerNumbers(shape).filter((index) => index >= shape.lowest);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
