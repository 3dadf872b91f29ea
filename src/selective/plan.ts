// Which activations to keep: the cheapest way in time of those that fit a memory budget.

import { OptionError } from "../errors.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { namedParameters, parameterBytes } from "../nn/module.ts";
import { defaultRowsPerBlock } from "./batch.ts";
import type { ActivationMode, Precision } from "./gradients.ts";
import { isStateKept, type KeptStates, usualKeptStates } from "./kept_states.ts";
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
  return `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MiB`;
}

// The sizes that bytes and multiplications follow from.
interface Shape {
  readonly layers: number;
  readonly size: number;
  readonly inner: number;
  readonly heads: number;
  readonly selected: number;
  readonly rest: number;
  readonly longest: number;
  readonly blockRows: number;
  readonly elementBytes: number;
}

function shapeOf({ backbone }: SequenceClassifier, { lengths, k, precision }: PlannedStep): Shape {
  const rows = sum(lengths);
  const selected = sum(lengths.map((length) => selectionCount(length, k)));
  return {
    layers: backbone.layers.length,
    size: backbone.hiddenSize,
    inner: backbone.intermediateSize,
    heads: backbone.numAttentionHeads,
    selected,
    rest: rows - selected,
    longest: Math.max(...lengths),
    blockRows: Math.min(rows, Math.max(defaultRowsPerBlock(backbone.device), ...lengths)),
    elementBytes: precision === "bf16" ? 2 : backbone.dtype === "float64" ? 8 : 4,
  };
}

// Multiplications: a row through a whole layer, through its keys and values, through its queries, keys and values.
function rowWork({ size, inner }: Shape): { layer: number; keys: number; projections: number } {
  const square = size * size;
  return { layer: 4 * square + 2 * size * inner, keys: 2 * square, projections: 3 * square };
}

function stepWork(shape: Shape): number {
  const { layer, projections } = rowWork(shape);
  return shape.layers * ((shape.selected + shape.rest) * layer + shape.selected * (2 * layer + projections));
}

// What recompute multiplies beyond store.
function extraWork(shape: Shape, { activations, keptStates }: ActivationPlan): number {
  if (activations === "store") return 0;
  const { layer, keys, projections } = rowWork(shape);
  const rebuilt = layerNumbers(shape).filter((index) => index > 0 && !isStateKept(keptStates, index, shape.layers));
  return shape.layers * (shape.selected * (layer - projections) + shape.rest * keys) +
    rebuilt.length * shape.rest * layer;
}

/**
 * The most bytes that will live in tensors in a step, weights, gradients and AdamW's state included: counted where
 * something is kept, estimated where operators work. What is measured lies up to a tenth below.
 */
export function estimatePeak(model: SequenceClassifier, step: PlannedStep, plan: ActivationPlan): number {
  const shape = shapeOf(model, step);
  const gradients = gradientBytes(model, shape);
  const trained = sum([...namedParameters(model).values()].map((each) => each.requiresGrad ? each.byteLength : 0));
  const resting = parameterBytes(model) + 2 * trained;
  const kept = keptBytes(shape, plan);
  const atForward = sum(kept) + forwardWorkspace(shape);
  let [accumulated, highest] = [gradients.head, atForward];
  for (const index of layerNumbers(shape).toReversed()) {
    const inLayer = gradients.layers[index] ?? 0;
    const rebuilt = plan.activations === "store" ? 0 : rebuiltBytes(shape, plan.keptStates, index);
    const others = step.optimizerInBackward ? 0 : accumulated;
    highest = Math.max(highest, sum(kept.slice(0, index + 1)) + rebuilt + others + inLayer + backwardWorkspace(shape));
    accumulated += inLayer;
  }
  const atEnd = gradients.embeddings + (step.optimizerInBackward ? 0 : accumulated);
  return resting + Math.max(highest, atEnd);
}

interface GradientBytes {
  readonly head: number;
  readonly layers: readonly number[];
  readonly embeddings: number;
}

// The vocabulary's gradient has the rows that were used.
function gradientBytes({ backbone, head }: SequenceClassifier, { selected, size }: Shape): GradientBytes {
  const ofPart = (part: Parameters<typeof namedParameters>[0]): number =>
    sum([...namedParameters(part).values()].map((each) => {
      if (!each.requiresGrad) return 0;
      const isVocabulary = each.shape[0] === backbone.vocabSize;
      return isVocabulary ? Math.min(each.byteLength, 3 * selected * size * 4) : each.byteLength;
    }));
  return { head: ofPart(head), layers: backbone.layers.map(ofPart), embeddings: ofPart(backbone.embeddings) };
}

function keptBytes(shape: Shape, { activations, keptStates }: ActivationPlan): number[] {
  const { size, inner, selected, rest, layers, elementBytes } = shape;
  return layerNumbers(shape).map((index) => {
    if (activations === "store") {
      return elementBytes * (rest * 2 * size + selected * (5 * size + inner)) + selected * (2 * size + 16);
    }
    const state = isStateKept(keptStates, index, layers) ? rest * size : 0;
    return elementBytes * (state + selected * size * ((index > 0 ? 1 : 0) + (rest > 0 ? 1 : 0)));
  });
}

// The states between the next kept one below and this layer, while it is at work.
function rebuiltBytes({ rest, size, layers, elementBytes }: Shape, keptStates: KeptStates, index: number): number {
  let count = 0;
  for (let below = index; below >= 0 && !isStateKept(keptStates, below, layers); below--) count++;
  return count * rest * size * elementBytes;
}

// A block's states, queries, keys and values with their copies in heads, and scores or the feed-forward.
function forwardWorkspace({ size, inner, heads, longest, blockRows, selected, elementBytes }: Shape): number {
  const block = blockRows * (5 * size + Math.max(inner + 2 * size, 2.25 * heads * longest));
  return Math.max(elementBytes, 4) * Math.max(block + selected * 4 * size, selected * (2 * inner + 4 * size));
}

function backwardWorkspace({ size, inner, heads, longest, blockRows, selected, elementBytes }: Shape): number {
  const tail = selected * (2 * inner + 7 * size);
  const queries = Math.min(selected, blockRows);
  const attention = selected * 8 * size + blockRows * 4 * size + queries * 3.25 * heads * longest;
  return Math.max(elementBytes, 4) * Math.max(tail, attention);
}

function layerNumbers({ layers }: Shape): number[] {
  return Array.from({ length: layers }, (_, index) => index);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
