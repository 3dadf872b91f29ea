// What the pickle of a state dict may name: the functions of torch that put tensors together from storages.
//
// The reference implementation is PyTorch's torch/_utils.py and torch/serialization.py.

import { type PickleContext, PickleGlobal } from "./pickle.ts";
import { countElements, dtypeSizes, type SafetensorsDtype } from "./safetensors_header.ts";
import type { Fail } from "./torch_zip.ts";
import { quoteName } from "./shown.ts";

/** Memory that tensors view, kept outside of the pickle under a key. */
export class TorchStorage {
  constructor(
    readonly key: string,
    /** The type of its elements; null where the tensors say it. */
    readonly dtype: SafetensorsDtype | null,
    readonly elements: number,
  ) {}

  get elementBytes(): number {
    return this.dtype === null ? 1 : dtypeSizes[this.dtype];
  }

  get byteLength(): number {
    return this.elements * this.elementBytes;
  }
}

/** A view of a storage: `byteOffset` counts from the storage's beginning, `strides` are elements. It lies inside. */
export class TorchTensor {
  constructor(
    readonly storage: TorchStorage,
    readonly dtype: SafetensorsDtype,
    readonly byteOffset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}

  get byteLength(): number {
    return (countElements(this.shape) ?? 0) * dtypeSizes[this.dtype];
  }

  /** Bytes from the first element to the end of the last. */
  get spanBytes(): number {
    if (this.byteLength === 0) return 0;
    return dtypeSizes[this.dtype] * spanOf(this.shape, this.strides);
  }

  /** Whether the elements lie one after the other, the last dimension's next to each other. */
  get isContiguous(): boolean {
    if (this.byteLength === 0) return true;
    let stride = 1;
    for (let dimension = this.shape.length - 1; dimension >= 0; dimension--) {
      const size = this.shape[dimension] ?? 1;
      if (size !== 1 && this.strides[dimension] !== stride) return false;
      stride *= size;
    }
    return true;
  }
}

const storageTypes: Readonly<Record<string, SafetensorsDtype>> = {
  BoolStorage: "BOOL",
  ByteStorage: "U8",
  CharStorage: "I8",
  ShortStorage: "I16",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  IntStorage: "I32",
  FloatStorage: "F32",
  DoubleStorage: "F64",
  LongStorage: "I64",
};

const dtypeNames: Readonly<Record<string, SafetensorsDtype>> = {
  bool: "BOOL",
  uint8: "U8",
  int8: "I8",
  int16: "I16",
  float16: "F16",
  bfloat16: "BF16",
  int32: "I32",
  float32: "F32",
  float64: "F64",
  int64: "I64",
};

const untypedStorage = "torch.storage.UntypedStorage";

const typesByName: ReadonlyMap<string, SafetensorsDtype> = new Map(
  [...Object.entries(storageTypes), ...Object.entries(dtypeNames)].map(([name, dtype]) => [`torch.${name}`, dtype]),
);

// PyTorch's own limit.
const maxDimensions = 64;

/** What the pickle of a state dict may name, and the storages that it keeps outside, by key. */
export interface TorchContext extends PickleContext {
  readonly storages: ReadonlyMap<string, TorchStorage>;
}

/** Lends a pickle what it needs to be read as a state dict. */
export function torchContext(fail: Fail): TorchContext {
  const storages = new Map<string, TorchStorage>();
  const functions: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
    "collections.OrderedDict": (args) =>
      args.length === 0 ? new Map() : fail("its pickle gives OrderedDict items, which torch.save sets one by one"),
    "torch._utils._rebuild_tensor": (args) => rebuildTensor(args, undefined, fail),
    "torch._utils._rebuild_tensor_v2": (args) => rebuildTensor(args, undefined, fail),
    "torch._utils._rebuild_tensor_v3": (args) => rebuildTensor(args, args[6], fail),
    "torch._utils._rebuild_parameter": ([tensor]) => tensor,
    "torch._utils._rebuild_parameter_with_state": ([tensor]) => tensor,
  };
  const globals = new Map<string, PickleGlobal>();
  for (const name of [...typesByName.keys(), untypedStorage]) globals.set(name, new PickleGlobal(name));
  for (const [name, call] of Object.entries(functions)) globals.set(name, new PickleGlobal(name, call));
  const loadPersistent = (id: unknown): TorchStorage => {
    const storage = parseStorage(id, fail);
    const known = storages.get(storage.key) ?? storage;
    if (known.dtype !== storage.dtype || known.elements !== storage.elements) {
      fail(`its storage ${quoteName(storage.key)} is of two types or sizes`);
    }
    storages.set(storage.key, known);
    return known;
  };
  return { fail, findGlobal: (name) => globals.get(name), loadPersistent, storages };
}

// ("storage", type, key, location, elements); the legacy format adds the view of another storage, which is None.
function parseStorage(id: unknown, fail: Fail): TorchStorage {
  const [kind, type, key, , elements, view = null] = Array.isArray(id) ? id : [];
  if (kind !== "storage" || !(type instanceof PickleGlobal) || typeof key !== "string" || !isCount(elements)) {
    return fail("its pickle refers to what is no storage");
  }
  if (view !== null) fail(`its storage ${quoteName(key)} is a view of another`);
  const dtype = typesByName.get(type.name);
  if (dtype === undefined && type.name !== untypedStorage) {
    fail(`its storage ${quoteName(key)} is of type ${type.name}`);
  }
  return new TorchStorage(key, dtype ?? null, elements);
}

function rebuildTensor(args: readonly unknown[], type: unknown, fail: Fail): TorchTensor {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof TorchStorage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides)) {
    return fail("its pickle has a tensor without storage, offset, shape or strides");
  }
  const where = `a tensor of storage ${quoteName(storage.key)}`;
  const dtype = type instanceof PickleGlobal ? typesByName.get(type.name) : storage.dtype ?? undefined;
  if (dtype === undefined) return fail(`${where} has no type`);
  const elements = countElements(shape);
  if (elements === undefined || shape.length !== strides.length) {
    return fail(`${where} has the impossible shape [${shape}] with strides [${strides}]`);
  }
  const [size, byteOffset] = [dtypeSizes[dtype], offset * storage.elementBytes];
  if (elements > 0 && byteOffset + spanOf(shape, strides) * size > storage.byteLength) {
    fail(`${where} reaches beyond it`);
  }
  if (elements * size > storage.byteLength) fail(`${where} shows an element more than once: save a copy (.clone())`);
  return new TorchTensor(storage, dtype, byteOffset, shape, strides);
}

function spanOf(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((last, count, dimension) => last + (count - 1) * (strides[dimension] ?? 0), 1);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= maxDimensions && value.every(isCount);
}
