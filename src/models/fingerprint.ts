// The fingerprint of a checkpoint's weights, by which an adapter knows its base again.

import { createHash } from "node:crypto";
import { openWeights } from "../files/open_weights.ts";
import { CheckpointError } from "../errors.ts";

const sampleBytes = 256;

/**
 * SHA-256 of the names, types and shapes of a checkpoint's weights and of the first bytes of each, in 16 digits: training
 * changes every one of them, so that a few bytes of each tell two models apart, and reading all would take as long as
 * loading. Null where there are no weights.
 */
export function fingerprintOf(folder: string): string | null {
  try {
    using file = openWeights(folder);
    const hash = createHash("sha256");
    for (const [name, { dtype, shape, byteLength }] of [...file.tensors].sort(([a], [b]) => a < b ? -1 : 1)) {
      const bytes = new Uint8Array(Math.min(sampleBytes, byteLength));
      file.readInto(name, bytes);
      hash.update(`${name} ${dtype} ${shape};`).update(bytes);
    }
    return hash.digest("hex").slice(0, 16);
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
}
