// The format of torch.save before PyTorch 1.6: five pickles one after the other, and behind them the storages.
//
// The reference implementation is `_legacy_save` and `_legacy_load` in PyTorch's torch/serialization.py.

import type { ByteFile } from "./byte_file.ts";
import { maxPickleBytes, unpickle } from "./pickle.ts";
import type { TorchContext } from "./torch_tensors.ts";
import { quoteName } from "./shown.ts";

/** What a file of torch.save holds: the pickled value, and the byte of the file where each storage begins. */
export interface TorchContent {
  readonly value: unknown;
  readonly offsets: ReadonlyMap<string, number>;
}

const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;
const countBytes = 8;

/** Reads a file that begins with a pickle. */
export function readLegacy(file: ByteFile, context: TorchContext): TorchContent {
  const bytes = file.bytes(0, maxPickleBytes);
  let at = 0;
  const next = (): unknown => {
    const { value, end } = unpickle(bytes, context, at);
    at = end;
    return value;
  };
  if (next() !== magicNumber || next() !== protocolVersion) {
    context.fail("it is a pickle that torch.save did not write");
  }
  const system = next();
  if (!(system instanceof Map) || system.get("little_endian") !== true) {
    context.fail("it was not written on a little-endian machine: save it again on one");
  }
  const value = next();
  const keys = next();
  return { value, offsets: readOffsets(file, at, Array.isArray(keys) ? keys : [], context) };
}

// Each storage is its number of elements and then they, in the order of the keys.
function readOffsets(
  file: ByteFile,
  start: number,
  keys: readonly unknown[],
  { storages, fail }: TorchContext,
): Map<string, number> {
  const offsets = new Map<string, number>();
  let at = start;
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (!storage || offsets.has(storage.key)) return fail("its list of storages is not that of its tensors");
    const { elements, byteLength } = storage;
    if (at + countBytes + byteLength > file.size) fail(`its storage ${quoteName(storage.key)} reaches beyond its end`);
    const count = new DataView(file.bytes(at, countBytes).buffer).getBigUint64(0, true);
    if (count !== BigInt(elements)) {
      fail(`its storage ${quoteName(storage.key)} has ${count} elements where its tensors need ${elements}`);
    }
    offsets.set(storage.key, at + countBytes);
    at += countBytes + byteLength;
  }
  return offsets;
}
