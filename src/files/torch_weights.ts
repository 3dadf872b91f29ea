// Reads files of torch.save (pytorch_model.bin): tensors straight from where they lie. Nothing in them is executed.

import { CheckpointError } from "../errors.ts";
import { ByteFile } from "./byte_file.ts";
import { maxPickleBytes, unpickle } from "./pickle.ts";
import { dtypeSizes } from "./safetensors_header.ts";
import { readLegacy, type TorchContent } from "./torch_legacy.ts";
import { type TorchContext, torchContext, TorchTensor } from "./torch_tensors.ts";
import { readZipRecords, type ZipRecord, zipSignature } from "./torch_zip.ts";
import type { WeightsFile } from "./weights_file.ts";
import { quoteName } from "./shown.ts";

/** An open file of torch.save, whose tensors all lie inside it. Dispose it to close the file. */
export class TorchWeightsFile implements WeightsFile {
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  readonly #file: ByteFile;
  readonly #offsets: ReadonlyMap<string, number>;
  // The last tensor whose elements had to be put in order: it may be asked for in parts.
  #gathered: { readonly tensor: TorchTensor; readonly bytes: Uint8Array } | undefined;

  /** Use {@linkcode openTorchWeights}. */
  constructor(file: ByteFile, tensors: ReadonlyMap<string, TorchTensor>, offsets: ReadonlyMap<string, number>) {
    this.#file = file;
    this.tensors = tensors;
    this.#offsets = offsets;
  }

  get path(): string {
    return this.#file.path;
  }

  /**
   * Fills `target` with the tensor's bytes, beginning `from` bytes into the tensor. A tensor that lies transposed is
   * put in order, in memory of its own size.
   *
   * @throws {CheckpointError} when there is no such tensor, or the file became shorter since it was opened
   * @throws {RangeError} when the tensor has no such bytes
   */
  readInto(name: string, target: Uint8Array, from = 0): void {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new CheckpointError(`${this.path} has no tensor ${quoteName(name)}`);
    if (!(from >= 0 && from + target.length <= tensor.byteLength)) {
      throw new RangeError(
        `bytes ${from} to ${from + target.length} of tensor ${quoteName(name)}, which has ${tensor.byteLength}`,
      );
    }
    if (tensor.isContiguous) this.#file.readInto(this.#offsetOf(tensor) + from, target);
    else target.set(this.#gather(tensor).subarray(from, from + target.length));
  }

  #offsetOf({ storage, byteOffset }: TorchTensor): number {
    return (this.#offsets.get(storage.key) ?? 0) + byteOffset;
  }

  #gather(tensor: TorchTensor): Uint8Array {
    if (this.#gathered?.tensor !== tensor) {
      const source = this.#file.bytes(this.#offsetOf(tensor), tensor.spanBytes);
      this.#gathered = { tensor, bytes: inOrder(source, tensor) };
    }
    return this.#gathered.bytes;
  }

  [Symbol.dispose](): void {
    this.#gathered = undefined;
    this.#file[Symbol.dispose]();
  }
}

/**
 * Opens a file that torch.save wrote: a state dict, in the zip format or the one before PyTorch 1.6. Only its names,
 * types, shapes and places are read; whatever else its pickle asks for is refused.
 *
 * @throws {CheckpointError} when the file is missing, damaged, or holds anything but tensors by name
 */
export function openTorchWeights(path: string): TorchWeightsFile {
  const file = new ByteFile(path);
  try {
    const context = torchContext((reason) => {
      throw new CheckpointError(`${path} cannot be read as PyTorch's weights: ${reason}`);
    });
    const { value, offsets } = readContent(file, context);
    return new TorchWeightsFile(file, namedTensors(value, file, offsets, context), offsets);
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

const pickleStart = 0x80;

function readContent(file: ByteFile, context: TorchContext): TorchContent {
  const start = file.bytes(0, 4);
  if (start[0] === pickleStart) return readLegacy(file, context);
  const isZip = start.length === 4 && new DataView(start.buffer).getUint32(0, true) === zipSignature;
  return isZip ? readZip(file, context) : context.fail("torch.save did not write it (is it a pointer to the file?)");
}

function readZip(file: ByteFile, context: TorchContext): TorchContent {
  const records = readZipRecords(file, context.fail);
  const [first = ""] = records.keys();
  const folder = first.slice(0, first.indexOf("/") + 1);
  const bytesOf = ({ byteOffset, byteLength }: ZipRecord): Uint8Array => file.bytes(byteOffset, byteLength);
  const order = records.get(`${folder}byteorder`);
  if (
    order && new TextDecoder().decode(bytesOf({ ...order, byteLength: Math.min(order.byteLength, 16) })) !== "little"
  ) {
    context.fail("it was not written on a little-endian machine: save it again on one");
  }
  const pickle = records.get(`${folder}data.pkl`) ?? context.fail("it has no data.pkl");
  if (pickle.byteLength > maxPickleBytes) {
    context.fail(`its pickle has ${pickle.byteLength} bytes, at most ${maxPickleBytes} can be`);
  }
  const { value } = unpickle(bytesOf(pickle), context);
  return { value, offsets: storageOffsets(records, `${folder}data/`, context) };
}

function storageOffsets(
  records: ReadonlyMap<string, ZipRecord>,
  folder: string,
  { storages, fail }: TorchContext,
): Map<string, number> {
  return new Map(
    storages.values().map(({ key, byteLength }) => {
      const record = records.get(folder + key) ?? fail(`its storage ${quoteName(key)} is missing`);
      if (record.byteLength !== byteLength) {
        fail(`its storage ${quoteName(key)} has ${record.byteLength} bytes where its tensors need ${byteLength}`);
      }
      return [key, record.byteOffset];
    }),
  );
}

// Tied tensors are read as often as they are named; no model ties more than this.
const maxTimesRead = 8;

function namedTensors(
  value: unknown,
  file: ByteFile,
  offsets: ReadonlyMap<string, number>,
  { fail }: TorchContext,
): Map<string, TorchTensor> {
  if (!(value instanceof Map)) return fail("it holds no dictionary of tensors");
  const tensors = new Map<string, TorchTensor>();
  const views = new Map<string, TorchTensor>();
  let total = 0;
  for (const [name, tensor] of value) {
    if (!(tensor instanceof TorchTensor)) {
      return fail(`its ${quoteName(String(name))} is no tensor: save the model's state_dict() alone`);
    }
    if (!offsets.has(tensor.storage.key)) fail(`its storage ${quoteName(tensor.storage.key)} is missing`);
    // Tied tensors are one.
    const { storage: { key }, dtype, byteOffset, shape, strides } = tensor;
    const view = JSON.stringify([key, dtype, byteOffset, shape, strides]);
    const known = views.get(view) ?? tensor;
    views.set(view, known);
    tensors.set(String(name), known);
    total += tensor.byteLength;
  }
  if (total > maxTimesRead * file.size) fail(`its tensors share their memory more than ${maxTimesRead} times`);
  return tensors;
}

// The elements of a tensor in row-major order, from the bytes between its first and its last.
function inOrder(source: Uint8Array, { dtype, shape, strides, byteLength }: TorchTensor): Uint8Array {
  const size = dtypeSizes[dtype];
  const target = new Uint8Array(byteLength);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < byteLength; to += size) {
    for (let byte = 0; byte < size; byte++) target[to + byte] = source[from + byte] ?? 0;
    for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
      const [count, stride, at] = [shape[dimension] ?? 1, (strides[dimension] ?? 0) * size, index[dimension] ?? 0];
      from += stride;
      index[dimension] = at + 1;
      if (at + 1 < count) break;
      from -= stride * count;
      index[dimension] = 0;
    }
  }
  return target;
}
