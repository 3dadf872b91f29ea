// Gradients by central differences, the mathematics that autograd has to agree with.

import assert from "node:assert/strict";
import { backward, item, noGrad, ops, scope, type Tensor, tensorFrom, toNumbers } from "../../mod.ts";
import { distance, norm, someNumbers } from "./numbers.ts";

/** A function of float64 tensors. */
export type Differentiable = (...inputs: Tensor[]) => Tensor;

const step = 1e-5;

/**
 * Asserts that the gradient of every input agrees with central differences up to `tolerance`, relative to its length.
 * The output is weighted with fixed numbers and summed, so that every element counts and none like another.
 */
export function assertGradients(compute: Differentiable, inputs: readonly Tensor[], tolerance: number): void {
  const objective = (): Tensor => scope(() => weightedSum(compute(...inputs)));
  scope(() => backward(objective()));
  inputs.forEach((input, index) => {
    const gradient = scope(() => input.grad === null ? [] : toNumbers(input.grad));
    const expected = noGrad(() => centralDifferences(objective, input));
    const off = distance(gradient, expected) / Math.max(norm(expected), 1e-3);
    assert.ok(
      gradient.length > 0 && off <= tolerance,
      `input ${index}: ${off} off, [${gradient}] and not [${expected}]`,
    );
  });
}

function weightedSum(output: Tensor): Tensor {
  return ops.sum(ops.mul(output, tensorFrom(someNumbers(output.size, 99), { shape: output.shape, dtype: "float64" })));
}

function centralDifferences(objective: () => Tensor, input: Tensor): number[] {
  const memory = new Float64Array(input.bytes().buffer, 0, input.size);
  return Array.from(memory, (original, index) => {
    const at = (value: number): number => {
      memory[index] = value;
      return scope(() => item(objective()));
    };
    const slope = (at(original + step) - at(original - step)) / (2 * step);
    memory[index] = original;
    return slope;
  });
}

/** A float64 leaf of fixed numbers. */
export function leafOf(shape: readonly number[], seed = 1): Tensor {
  const count = shape.reduce((product, length) => product * length, 1);
  return tensorFrom(someNumbers(count, seed), { shape, dtype: "float64", requiresGrad: true });
}
