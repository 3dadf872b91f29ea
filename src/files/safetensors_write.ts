// Writing safetensors files: one tensor at a time, into a file that takes its name only when it is whole.
import { CheckpointError } from "../errors.ts";
import { quoteName, reasonOf } from "./shown.ts";
import {
  countElements,
  dtypeSizes,
  maxHeaderBytes,
  metadataKey,
  prefixBytes,
  type SafetensorsDtype,
} from "./safetensors_header.ts";

/** A tensor to write. `bytes` is called when its turn comes, and its result is not kept. */
export interface SafetensorsSource {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: () => Uint8Array;
}

/**
 * Writes the tensors to `path`, replacing what was there in one step: until all is on the disk the old file stays.
 * Tensors are ordered as the reference implementation does it: by decreasing alignment, then by name.
 *
 * @throws {CheckpointError} when the file cannot be written, or the entries contradict themselves; nothing is left
 */
export function writeSafetensors(
  path: string,
  entries: readonly SafetensorsSource[],
  metadata: Readonly<Record<string, string>> = {},
): void {
  const ordered = entries.toSorted(compareSources);
  const header = encodeHeader(path, ordered, metadata);
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  const file = attempt(path, () => Deno.openSync(temporary, { write: true, createNew: true }));
  try {
    try {
      attempt(path, () => writeFully(file, header));
      for (const source of ordered) writeTensor(file, path, source);
      attempt(path, () => file.syncSync());
    } finally {
      file.close();
    }
    attempt(path, () => Deno.renameSync(temporary, path));
  } catch (error) {
    Deno.removeSync(temporary);
    throw error;
  }
}

const alignmentOrder = Object.keys(dtypeSizes);

function compareSources(a: SafetensorsSource, b: SafetensorsSource): number {
  return alignmentOrder.indexOf(b.dtype) - alignmentOrder.indexOf(a.dtype) || (a.name < b.name ? -1 : 1);
}

function encodeHeader(
  path: string,
  sources: readonly SafetensorsSource[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const fields = Object.keys(metadata).length > 0 ? [`"${metadataKey}":${JSON.stringify(metadata)}`] : [];
  const names = new Set([metadataKey]);
  let end = 0;
  for (const source of sources) {
    const { name, dtype, shape } = source;
    if (names.has(name)) throw new CheckpointError(`${path} cannot hold two tensors named ${quoteName(name)}`);
    names.add(name);
    const begin = end;
    end += byteLengthOf(path, source);
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
  }
  return frame(path, `{${fields.join(",")}}`);
}

/** The header's length, the header, and spaces up to a multiple of 8 bytes. */
function frame(path: string, json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > maxHeaderBytes) throw new CheckpointError(`${path} cannot have a header of ${length} bytes`);
  const framed = new Uint8Array(prefixBytes + length).fill(" ".charCodeAt(0));
  new DataView(framed.buffer).setBigUint64(0, BigInt(length), true);
  framed.set(text, prefixBytes);
  return framed;
}

function byteLengthOf(path: string, { name, dtype, shape }: SafetensorsSource): number {
  const elements = countElements(shape);
  if (elements === undefined) {
    throw new CheckpointError(`${path} cannot hold tensor ${quoteName(name)} of shape ${JSON.stringify(shape)}`);
  }
  return elements * dtypeSizes[dtype];
}

function writeTensor(file: Deno.FsFile, path: string, source: SafetensorsSource): void {
  const bytes = source.bytes();
  const expected = byteLengthOf(path, source);
  if (bytes.length !== expected) {
    throw new CheckpointError(
      `${path} was not written: tensor ${
        quoteName(source.name)
      } came with ${bytes.length} bytes instead of ${expected}`,
    );
  }
  attempt(path, () => writeFully(file, bytes));
}

function writeFully(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}

function attempt<Result>(path: string, operation: () => Result): Result {
  try {
    return operation();
  } catch (cause) {
    throw new CheckpointError(`${path} cannot be written: ${reasonOf(cause)}`, { cause });
  }
}
