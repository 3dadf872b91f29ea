// Tensors from and to JavaScript's typed arrays and numbers.

import { OptionError } from "../errors.ts";
import type { Device } from "./device.ts";
import { type DType, type TypedArray, typedArrayOver } from "./dtype.ts";
import { contiguous, empty, requiresGrad_, scalarOf, to, toDense } from "./ops.ts";
import { scope } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** How {@linkcode tensorFrom} makes a tensor. */
export interface TensorOptions {
  /** Default: one dimension. */
  readonly shape?: readonly number[];
  /** Default: the element type of the array's kind; float32 for plain numbers. */
  readonly dtype?: DType;
  /** Default: the CPU. */
  readonly device?: Device;
  readonly requiresGrad?: boolean;
}

/**
 * A tensor of the given elements: copied once, straight into the tensor's memory. For the half-width floats a
 * Uint16Array holds their bit patterns; other elements are rounded to them.
 *
 * @throws {OptionError} when the shape does not hold as many elements as there are
 *
 * @example
 * ```ts
 * import { initialize, tensorFrom, toTypedArray } from "../../mod.ts";
 * await initialize();
 * using x = tensorFrom([1, 2, 3, 4], { shape: [2, 2] });
 * console.assert(toTypedArray(x).join() === "1,2,3,4");
 * ```
 */
export function tensorFrom(elements: TypedArray | readonly number[], options: TensorOptions = {}): Tensor {
  const { shape = [elements.length], device = "cpu", dtype = naturalDType(elements), requiresGrad = false } = options;
  const count = shape.reduce((product, length) => product * length, 1);
  if (count !== elements.length) {
    throw new OptionError(`shape [${shape}] holds ${count} elements, but ${elements.length} were given`);
  }
  return scope(() => {
    const given = isHalfWidth(dtype) && !(elements instanceof Uint16Array) ? "float32" : dtype;
    const made = empty(shape, { dtype: given });
    fill(typedArrayOver(given, made.bytes()), elements);
    const placed = device === "cpu" && given === dtype ? made : to(made, { dtype, device });
    return requiresGrad ? requiresGrad_(placed) : placed;
  });
}

function isHalfWidth(dtype: DType): boolean {
  return dtype === "float16" || dtype === "bfloat16";
}

function naturalDType(elements: TypedArray | readonly number[]): DType {
  if (elements instanceof BigInt64Array) return "int64";
  if (elements instanceof Int32Array) return "int32";
  if (elements instanceof Uint8Array) return "uint8";
  if (elements instanceof Float64Array) return "float64";
  if (elements instanceof Uint16Array) throw new OptionError("16-bit patterns need a dtype: float16 or bfloat16");
  return "float32";
}

function fill(memory: TypedArray, elements: TypedArray | readonly number[]): void {
  if (memory instanceof BigInt64Array) {
    if (elements instanceof BigInt64Array) memory.set(elements);
    else fillIntegers(memory, elements);
  } else if (elements instanceof BigInt64Array) throw new OptionError("64-bit integers need dtype int64");
  else memory.set(elements);
}

// As pairs of 32-bit words, the lower one first, as on every machine that Deno runs on: making BigInts takes far longer.
function fillIntegers(memory: BigInt64Array, elements: Exclude<TypedArray, BigInt64Array> | readonly number[]): void {
  const words = new Int32Array(memory.buffer, memory.byteOffset, 2 * memory.length);
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index] ?? 0;
    if (!Number.isInteger(element)) throw new OptionError(`an int64 tensor cannot hold ${element}`);
    words[2 * index] = element;
    words[2 * index + 1] = Math.floor(element / 2 ** 32);
  }
}

/** A copy of a tensor's elements in row-major order; half-width floats come as their 16-bit patterns. */
export function toTypedArray(tensor: Tensor): TypedArray {
  return scope(() => {
    const dense = denseOf(tensor);
    const here = contiguous(dense.device === "cpu" ? dense : to(dense, { device: "cpu" }));
    return typedArrayOver(tensor.dtype, here.bytes().slice());
  });
}

/** A copy of a tensor's elements as numbers; integers beyond 2^53 lose their last digits. */
export function toNumbers(tensor: Tensor): number[] {
  return scope(() => Array.from(toTypedArray(to(denseOf(tensor), { dtype: "float64" })) as Float64Array));
}

/** The only element of a tensor. Throws {@linkcode TorchError} when there are more. */
export function item(tensor: Tensor): number {
  return Number(scalarOf(tensor));
}

function denseOf(tensor: Tensor): Tensor {
  return tensor.isSparse ? toDense(tensor) : tensor;
}
