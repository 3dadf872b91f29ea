// Tied weights: one parameter that a checkpoint holds under two keys.

import { CheckpointError } from "../errors.ts";
import type { WeightsFile } from "../files/weights_file.ts";

const chunkBytes = 1 << 22;

/**
 * Checks that two tensors of a file are the same.
 *
 * @throws {CheckpointError} when they differ, in type, in shape or in any value
 */
export function checkTied(file: WeightsFile, name: string, other: string): void {
  if (name === other || isSame(file, name, other)) return;
  throw new CheckpointError(
    `${file.path}: ${name} and ${other} differ, but config.json says that they are one: ` +
      `let tie_word_embeddings be false there`,
  );
}

function isSame(file: WeightsFile, name: string, other: string): boolean {
  const [a, b] = [file.tensors.get(name), file.tensors.get(other)];
  if (a === b) return true;
  if (a?.dtype !== b?.dtype || a?.shape.join() !== b?.shape.join()) return false;
  const bytes = a?.byteLength ?? 0;
  const [left, right] = [new Uint8Array(chunkBytes), new Uint8Array(chunkBytes)];
  for (let from = 0; from < bytes; from += chunkBytes) {
    const count = Math.min(chunkBytes, bytes - from);
    file.readInto(name, left.subarray(0, count), from);
    file.readInto(other, right.subarray(0, count), from);
    // A loop: on a vocabulary's bytes a callback for each takes seconds.
    for (let index = 0; index < count; index++) if (left[index] !== right[index]) return false;
  }
  return true;
}
