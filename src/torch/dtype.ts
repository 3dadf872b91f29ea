// Element types: their names here, their codes in LibTorch, their sizes, and the typed arrays that hold them.

import { OptionError } from "../errors.ts";

/** An element type of a tensor. */
export type DType = "float32" | "bfloat16" | "float16" | "float64" | "int64" | "int32" | "uint8" | "bool";

/** The typed arrays that cross to and from tensors; the half-width floats cross as their 16-bit patterns. */
export type TypedArray = Float32Array | Float64Array | Uint16Array | BigInt64Array | Int32Array | Uint8Array;

type ArrayConstructor = new (buffer: ArrayBuffer, byteOffset?: number, length?: number) => TypedArray;

interface DTypeFacts {
  readonly code: number;
  readonly bytes: number;
  readonly array: ArrayConstructor;
}

const facts: Readonly<Record<DType, DTypeFacts>> = {
  uint8: { code: 0, bytes: 1, array: Uint8Array },
  int32: { code: 3, bytes: 4, array: Int32Array },
  int64: { code: 4, bytes: 8, array: BigInt64Array },
  float16: { code: 5, bytes: 2, array: Uint16Array },
  float32: { code: 6, bytes: 4, array: Float32Array },
  float64: { code: 7, bytes: 8, array: Float64Array },
  bool: { code: 11, bytes: 1, array: Uint8Array },
  bfloat16: { code: 15, bytes: 2, array: Uint16Array },
};

const names = new Map(Object.entries(facts).map(([name, { code }]) => [code, name as DType]));

/** LibTorch's code of an element type. */
export function dtypeCode(dtype: DType): number {
  const known = facts[dtype];
  if (!known) {
    throw new OptionError(`dtype ${JSON.stringify(dtype)} is unknown: use one of ${Object.keys(facts).join(", ")}`);
  }
  return known.code;
}

/** The element type of a LibTorch code. */
export function dtypeOfCode(code: number): DType {
  const name = names.get(code);
  if (name === undefined) {
    throw new OptionError(`LibTorch's element type ${code} has no name here: convert the tensor first`);
  }
  return name;
}

/** Bytes of one element. */
export function dtypeBytes(dtype: DType): number {
  return facts[dtype].bytes;
}

/** A typed array of the right kind over `bytes`, sharing its memory. */
export function typedArrayOver(dtype: DType, bytes: Uint8Array<ArrayBuffer>): TypedArray {
  const { array, bytes: size } = facts[dtype];
  return new array(bytes.buffer, bytes.byteOffset, bytes.byteLength / size);
}
