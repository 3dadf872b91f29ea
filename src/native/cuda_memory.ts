// What of a GPU's memory is in use, by anyone: asked of the NVIDIA driver, since LibTorch counts only its own tensors.

import { SetupError } from "../errors.ts";

const symbols = {
  cuInit: { parameters: ["u32"], result: "i32" },
  cuDeviceGet: { parameters: ["buffer", "i32"], result: "i32" },
  cuDevicePrimaryCtxRetain: { parameters: ["buffer", "i32"], result: "i32" },
  cuDevicePrimaryCtxRelease_v2: { parameters: ["i32"], result: "i32" },
  cuCtxPushCurrent_v2: { parameters: ["usize"], result: "i32" },
  cuCtxPopCurrent_v2: { parameters: ["buffer"], result: "i32" },
  cuMemGetInfo_v2: { parameters: ["buffer", "buffer"], result: "i32" },
} as const;

/**
 * Bytes of GPU `index` that are in use, by all processes together. Needs `--allow-ffi`.
 *
 * @throws {SetupError} when the driver does not answer
 */
export function usedDeviceBytes(index: number): number {
  const driver = Deno.dlopen("libcuda.so.1", symbols);
  try {
    return readUsedBytes(driver.symbols, index);
  } finally {
    driver.close();
  }
}

function readUsedBytes(cuda: Deno.DynamicLibrary<typeof symbols>["symbols"], index: number): number {
  const check = (status: number): void => {
    if (status !== 0) throw new SetupError(`the NVIDIA driver cannot say what of GPU ${index} is in use: ${status}`);
  };
  const [device, context] = [new Int32Array(1), new BigUint64Array(1)];
  const [free, total] = [new BigUint64Array(1), new BigUint64Array(1)];
  check(cuda.cuInit(0));
  check(cuda.cuDeviceGet(device, index));
  const [handle = 0] = device;
  check(cuda.cuDevicePrimaryCtxRetain(context, handle));
  try {
    check(cuda.cuCtxPushCurrent_v2(context[0] ?? 0n));
    check(cuda.cuMemGetInfo_v2(free, total));
    check(cuda.cuCtxPopCurrent_v2(context));
  } finally {
    cuda.cuDevicePrimaryCtxRelease_v2(handle);
  }
  return Number((total[0] ?? 0n) - (free[0] ?? 0n));
}
