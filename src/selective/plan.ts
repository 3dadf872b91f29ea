// Which activations to keep: the fastest way of those that fit a memory budget.

import { OptionError } from "../errors.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { type KeptStates, usualKeptStates } from "./kept_states.ts";
import { type ActivationPlan, estimatePeak } from "./peak_estimate.ts";
import { keepsRest, type PlannedStep, type Shape, shapeOf, trainedLayers } from "./step_shape.ts";

// Above this share of a step, recomputing is not worth it while nothing limits the memory.
const worthwhile = 0.15;

/**
 * The plan of `auto`: with a budget the fastest way that fits, without one `recompute` where it costs less than 15 % of
 * a step, else `store`. Times are counted in multiplications, bytes estimated (see {@linkcode estimatePeak}).
 *
 * @param memoryBudget the most bytes that may live in tensors, weights and optimizer state included; null: no limit
 * @throws {OptionError} when no way fits the budget
 */
export function planActivations(
  model: SequenceClassifier,
  step: PlannedStep,
  memoryBudget: number | null,
): ActivationPlan {
  const shape = shapeOf(model, step);
  const usual: ActivationPlan = { activations: "recompute", keptStates: usualKeptStates(shape.layers) };
  const stored: ActivationPlan = { ...usual, activations: "store" };
  // A network beside the backbone stores what it has: see checkActivations.
  const isFixed = model.backbone.side.network !== null;
  if (memoryBudget === null) return !isFixed && extraWork(shape, usual) < worthwhile * stepWork(shape) ? usual : stored;
  const others = isFixed ? [] : keptStatesOf(shape.layers).map((keptStates) => ({ ...usual, keptStates }));
  const ways = [stored, ...others];
  const bySpeed = ways.toSorted((a, b) => extraWork(shape, a) - extraWork(shape, b));
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

// Multiplications: a row through a whole layer, through its keys and values, through its queries, keys and values.
function rowWork({ size, inner }: Shape): { layer: number; keys: number; projections: number } {
  const square = size * size;
  return { layer: 4 * square + 2 * size * inner, keys: 2 * square, projections: 3 * square };
}

function stepWork(shape: Shape): number {
  const { layer, projections } = rowWork(shape);
  const forward = shape.layers * (shape.selected + shape.rest) * layer;
  const head = 3 * shape.selected * shape.size * shape.vocabulary;
  return forward + trainedLayers(shape).length * shape.selected * (2 * layer + projections) + head;
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
