// Tied weights: one parameter that a checkpoint holds under two keys.

import { CheckpointError } from "../errors.ts";
import type { SafetensorsFile } from "./safetensors.ts";

const chunkBytes = 1 << 22;

/**
 * Checks that two tensors of a file are the same.
 *
 * @throws {CheckpointError} when they differ, in type, in shape or in any value
 */
export function checkTied(file: SafetensorsFile, name: string, other: string): void {
  if (name === other || isSame(file, name, other)) return;
  throw new CheckpointError(
    `${file.path}: ${name} and ${other} differ, but config.json says that they are one: ` +
      `let tie_word_embeddings be false there`,
  );
}

function isSame(file: SafetensorsFile, name: string, other: string): boolean {
  const [a, b] = [file.tensors.get(name), file.tensors.get(other)];
  if (a?.dtype !== b?.dtype || a?.shape.join() !== b?.shape.join()) return false;
  const bytes = a?.byteLength ?? 0;
  for (let from = 0; from < bytes; from += chunkBytes) {
    const [left, right] = [name, other].map((each) => {
      const chunk = new Uint8Array(Math.min(chunkBytes, bytes - from));
      file.readInto(each, chunk, from);
      return chunk;
    });
    if (left?.some((byte, index) => byte !== right?.[index])) return false;
  }
  return true;
}
