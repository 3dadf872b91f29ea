// LibTorch for the tests: loaded in every file that imports this; and what tests say about tensors.

import assert from "node:assert/strict";
import { initialize, liveTensorCount, lostTensorCount, memory, type Tensor, threads, toNumbers } from "../../mod.ts";

await initialize();
// The models here are tiny: threads that wait for each other only cost time, most of all on a busy machine.
threads(1);

/** Asserts that no tensor and no byte is left of what `body` made, and that the garbage collector had no part in it. */
export async function assertNothingLeft(body: () => void | Promise<void>): Promise<void> {
  const counts = (): number[] => [liveTensorCount(), memory().liveBytes, lostTensorCount()];
  const before = counts();
  await body();
  assert.deepEqual(counts(), before);
}

/** Asserts a tensor's shape and elements; numbers may differ by `tolerance`. */
export function assertTensor(
  tensor: Tensor,
  shape: readonly number[],
  elements: readonly number[],
  tolerance = 0,
): void {
  assert.deepEqual(tensor.shape, shape);
  assertClose(toNumbers(tensor), elements, tolerance);
}

/** Asserts that numbers agree up to an absolute `tolerance`; 0 asks for the same numbers, signs of zero included. */
export function assertClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  if (tolerance === 0) return assert.deepEqual(actual, expected);
  assert.equal(actual.length, expected.length);
  actual.forEach((value, index) => {
    const difference = Math.abs(value - (expected[index] ?? NaN));
    assert.ok(difference <= tolerance, `[${index}]: ${value} and not ${expected[index]}, ${difference} apart`);
  });
}
