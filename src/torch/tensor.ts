// Tensor: one reference to a LibTorch tensor, freed with its scope.

import { DisposedTensorError, OptionError, TorchError } from "../errors.ts";
import { check, shim } from "../native/load.ts";
import { input, output } from "../native/slots.ts";
import { type Device, deviceOfCode } from "./device.ts";
import { type DType, dtypeOfCode } from "./dtype.ts";
import { currentScope, type Owned, type Scope } from "./scope.ts";

/** What is fixed for a tensor's lifetime. */
interface Description {
  readonly dtype: DType;
  readonly device: Device;
  readonly shape: readonly number[];
}

/** What LibTorch says of a tensor now. */
interface State extends Description {
  readonly requiresGrad: boolean;
  readonly isLeaf: boolean;
  readonly byteLength: number;
  readonly address: number;
  readonly isContiguous: boolean;
  readonly isSparse: boolean;
}

let live = 0;
let lost = 0;
let traced = false;

/** The number of tensors that this process holds and has not freed. */
export function liveTensorCount(): number {
  return live;
}

/**
 * The number of tensors so far that the garbage collector had to free, because nothing else did: 0 in a program that
 * frees its tensors.
 */
export function lostTensorCount(): number {
  return lost;
}

/** Debug mode: remembers where each tensor is made, for the message of a use after free. Slow. */
export function traceTensors(on: boolean): void {
  traced = on;
}

const forgotten = new FinalizationRegistry<number>((handle) => {
  freeHandles([handle]);
  live--;
  lost++;
});

/**
 * A LibTorch tensor. Made inside a {@linkcode scope}, it is freed with it; made outside, it lives until
 * {@linkcode Tensor.dispose} (or `using`) frees it.
 */
export class Tensor implements Disposable, Owned {
  #handle: number;
  #owner: Scope | null;
  #description: Description | undefined;
  #madeAt: string | undefined;

  /** For the torch layer: takes over a reference that the shim handed out. */
  constructor(handle: number) {
    if (handle === 0) throw new TorchError("LibTorch returned an undefined tensor where a tensor was expected");
    this.#handle = handle;
    this.#owner = null;
    live++;
    this.moveTo(currentScope());
    if (traced) {
      this.#madeAt = new Error().stack;
      this.#describe();
    }
  }

  /** The reference that the shim takes. Throws {@linkcode DisposedTensorError} after disposal. */
  get handle(): number {
    if (this.#handle === 0) throw new DisposedTensorError(this.#obituary());
    return this.#handle;
  }

  get isDisposed(): boolean {
    return this.#handle === 0;
  }

  get shape(): readonly number[] {
    return this.#describe().shape;
  }

  get dtype(): DType {
    return this.#describe().dtype;
  }

  get device(): Device {
    return this.#describe().device;
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /** Bytes of its elements. */
  get byteLength(): number {
    return this.#state().byteLength;
  }

  get isContiguous(): boolean {
    return this.#state().isContiguous;
  }

  get requiresGrad(): boolean {
    return this.#state().requiresGrad;
  }

  /** Whether only the rows that are not zero are there, as in the gradient of an embedding. */
  get isSparse(): boolean {
    return this.#state().isSparse;
  }

  /** Whether gradients are accumulated here: it was made by the user, not by an operator on such tensors. */
  get isLeaf(): boolean {
    return this.#state().isLeaf;
  }

  /** The length of dimension `index`; negative counts from the end. */
  length(index: number): number {
    const length = this.shape.at(index);
    if (length === undefined) {
      throw new OptionError(`dimension ${index} does not exist in a tensor of shape [${this.shape}]`);
    }
    return length;
  }

  /** The gradient that backward accumulated, as a tensor of its own that shares the memory; null when there is none. */
  get grad(): Tensor | null {
    input.rewind().writeInteger(this.handle);
    check(shim().ft_tensor_grad(input.buffer, output.rewind().buffer), "reading a gradient");
    const handle = output.readInteger();
    return handle === 0 ? null : new Tensor(handle);
  }

  set grad(gradient: Tensor | null) {
    input.rewind().writeInteger(this.handle);
    input.writeInteger(gradient === null ? 0 : gradient.handle);
    check(shim().ft_tensor_set_grad(input.buffer), "setting a gradient");
  }

  /**
   * The elements' memory itself, not a copy: valid only while this tensor lives.
   *
   * @throws {OptionError} for a tensor that is not contiguous or not on the CPU
   */
  bytes(): Uint8Array<ArrayBuffer> {
    const { address, byteLength, device, isContiguous, shape } = this.#state();
    if (device !== "cpu" || !isContiguous) {
      throw new OptionError(
        `only a contiguous CPU tensor's memory can be seen from here, this one has shape [${shape}] on ${device}`,
      );
    }
    const pointer = Deno.UnsafePointer.create(BigInt(address));
    if (pointer === null || byteLength === 0) return new Uint8Array(0);
    return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, byteLength));
  }

  dispose(): void {
    if (this.#handle === 0) return;
    this.#leaveOwner();
    freeHandles([this.#handle]);
    this.#handle = 0;
    live--;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  moveTo(owner: Scope | null): void {
    if (this.#handle === 0) return;
    this.#leaveOwner();
    this.#owner = owner;
    if (owner === null) forgotten.register(this, this.#handle, this);
    else owner.add(this);
  }

  #leaveOwner(): void {
    if (this.#owner === null) forgotten.unregister(this);
    else this.#owner.remove(this);
  }

  #describe(): Description {
    return this.#description ??= this.#state();
  }

  #state(): State {
    input.rewind().writeInteger(this.handle);
    check(shim().ft_tensor_describe(input.buffer, output.rewind().buffer), "describing a tensor");
    const [dtype, type, index, requiresGrad, isLeaf, byteLength, address, isContiguous, isSparse, dimensions] =
      readIntegers(10);
    return {
      dtype: dtypeOfCode(dtype),
      device: deviceOfCode(type, index),
      requiresGrad: requiresGrad !== 0,
      isLeaf: isLeaf !== 0,
      byteLength,
      address,
      isContiguous: isContiguous !== 0,
      isSparse: isSparse !== 0,
      shape: readIntegers(dimensions),
    };
  }

  #obituary(): string {
    const shape = this.#description ? ` of shape [${this.#description.shape}]` : "";
    const madeAt = this.#madeAt?.split("\n").find((line) => line.includes("at ") && !line.includes("/src/torch/"))
      ?.trim();
    const where = madeAt ? `made ${madeAt}` : "traceTensors(true) tells where it was made";
    return `a tensor${shape} was used after it was disposed (by its scope, or by dispose()); ${where}`;
  }
}

function readIntegers<N extends number>(count: N): NumberTuple<N> {
  return Array.from({ length: count }, () => output.readInteger()) as NumberTuple<N>;
}

type NumberTuple<N extends number> = N extends 10
  ? [number, number, number, number, number, number, number, number, number, number]
  : number[];

function freeHandles(handles: readonly number[]): void {
  input.rewind();
  for (const handle of handles) input.writeInteger(handle);
  shim().ft_tensors_free(input.buffer, handles.length);
}
