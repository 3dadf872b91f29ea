// Models some of whose weights are computed from others that train: their gradients and steps.

import {
  type AdamW,
  backward,
  type Classifier,
  forward,
  item,
  lossOf,
  noGrad,
  ops,
  scope,
  type Sequence,
  type Tensor,
  tensorFrom,
  toNumbers,
} from "../../mod.ts";
import { derivedOf } from "../../src/models/derivations.ts";
import { pack, type Run } from "./small_bert.ts";

/** The fractional parts of i times the golden ratio and an offset, i from 1, as the reference computes them. */
export function weyl(count: number, offset: number): Float64Array {
  return Float64Array.from({ length: count }, (_, index) => {
    const sum = (index + 1) * 0.6180339887498949 + offset;
    return sum - Math.floor(sum);
  });
}

/** Gives a parameter these numbers. */
export function fill(parameter: Tensor, numbers: Float64Array): void {
  noGrad(() => scope(() => void ops.copy_(parameter, tensorFrom(numbers, { shape: parameter.shape }))));
}

/** Leaves the gradients at what trains, and returns loss and logits; the model is as its derivations made it last. */
export function leaveGradients(
  classifier: Classifier,
  batch: readonly Sequence[],
  labels: readonly number[],
  selected: readonly (readonly number[])[] | null = null,
  run: Run = {},
): { readonly loss: number; readonly logits: number[] } {
  return scope(() => {
    const logits = forward(classifier.model, pack(classifier, batch, selected, run), null);
    const loss = lossOf(logits, labels, classifier.target);
    backward(loss);
    for (const { derivation } of derivedOf(classifier.adaptation?.insertions)) derivation.backward();
    return { loss: item(loss), logits: toNumbers(logits) };
  });
}

/** Takes the gradients away from what trains. */
export function takeTrained({ trained }: Classifier): Map<string, number[]> {
  return new Map([...trained].map(([key, parameter]) => {
    using gradient = parameter.grad;
    parameter.grad = null;
    return [key, gradient === null ? new Array<number>(parameter.size).fill(0) : toNumbers(gradient)];
  }));
}

/** The numbers of what trains. */
export function trainedNumbers({ trained }: Classifier): Map<string, number[]> {
  return new Map([...trained].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

/** Makes a step of AdamW, in which some parameters have another learning rate. */
export function update(optimizer: AdamW, learningRate: number, own: ReadonlyMap<Tensor, number> = new Map()): void {
  for (const [parameter, rate] of own) optimizer.step(rate, [parameter]);
  optimizer.step(learningRate);
}
