// Devices: their names here and LibTorch's pair of type and index.

import { OptionError } from "../errors.ts";
import { check, shim } from "../native/load.ts";

export { cudaDeviceCount } from "../native/load.ts";

/** Where a tensor lives: `"cpu"`, `"cuda"` (the current GPU), `"cuda:0"`, ...; on `"meta"` it has a shape and no memory. */
export type Device = "cpu" | "cuda" | `cuda:${number}` | "meta";

/** LibTorch's device type (0 CPU, 1 CUDA, 14 meta) and index (-1: none given). */
export function deviceCode(device: Device): readonly [type: number, index: number] {
  if (device === "cpu") return [0, -1];
  if (device === "cuda") return [1, -1];
  if (device === "meta") return [14, -1];
  const index = /^cuda:(\d+)$/.exec(device)?.[1];
  if (index === undefined) {
    throw new OptionError(`device ${JSON.stringify(device)} is unknown: use cpu, cuda or cuda:N`);
  }
  return [1, Number(index)];
}

/** The name of LibTorch's device type and index. */
export function deviceOfCode(type: number, index: number): Device {
  if (type === 0) return "cpu";
  if (type === 1) return index < 0 ? "cuda" : `cuda:${index}`;
  if (type === 14) return "meta";
  throw new OptionError(`LibTorch's device type ${type} has no name here: Fewtune knows cpu and cuda`);
}

/** Waits until the device has done all it was given. Does nothing for the CPU. */
export function synchronize(device: Device): void {
  const [type, index] = deviceCode(device);
  check(shim().ft_synchronize(type, Math.max(index, 0)), `waiting for ${device}`);
}

/** Threads that LibTorch's operators use on the CPU; sets them first when `count` is given. */
export function threads(count = 0): number {
  if (!Number.isInteger(count) || count < 0) {
    throw new OptionError(`threads must be a whole number above 0, not ${count}`);
  }
  return shim().ft_threads(count);
}

/** Whether the device multiplies bfloat16 itself: GPUs do, and processors with AVX512-BF16 or AMX. */
export function hasBfloat16Arithmetic(device: Device): boolean {
  return device !== "cpu" || shim().ft_cpu_has_bf16() !== 0;
}
