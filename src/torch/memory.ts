// Memory statistics: exact bytes of the CPU allocator, and what the CUDA allocator counts.

import { check, shim } from "../native/load.ts";
import { output } from "../native/slots.ts";
import { type Device, deviceCode } from "./device.ts";

/** Bytes of one device's tensors. */
export interface MemoryStatistics {
  /** Bytes in live tensors; on the CPU exactly what was asked for. */
  readonly liveBytes: number;
  /** The highest `liveBytes` since the last {@linkcode resetPeakMemory}. */
  readonly peakBytes: number;
  /** Bytes that the allocator holds from the device, free ones included (on the CPU the same as `liveBytes`). */
  readonly reservedBytes: number;
  /** The highest `reservedBytes` since the last reset. */
  readonly peakReservedBytes: number;
}

/** What `device`'s allocator counts now. Scratch memory inside math libraries is not part of it. */
export function memory(device: Device = "cpu"): MemoryStatistics {
  const [type, index] = deviceCode(device);
  output.rewind();
  if (type === 0) {
    shim().ft_memory_cpu(output.buffer);
    const [liveBytes, peakBytes] = [output.readInteger(), output.readInteger()];
    return { liveBytes, peakBytes, reservedBytes: liveBytes, peakReservedBytes: peakBytes };
  }
  check(shim().ft_memory_device(type, Math.max(index, 0), output.buffer), `reading the memory statistics of ${device}`);
  return {
    liveBytes: output.readInteger(),
    peakBytes: output.readInteger(),
    reservedBytes: output.readInteger(),
    peakReservedBytes: output.readInteger(),
  };
}

/** Starts the peak anew from what is live now. */
export function resetPeakMemory(device: Device = "cpu"): void {
  const [type, index] = deviceCode(device);
  if (type === 0) shim().ft_memory_cpu_reset_peak();
  else check(shim().ft_memory_device_reset_peak(type, Math.max(index, 0)), `resetting the peak of ${device}`);
}

/**
 * Gives freed blocks of CPU memory back to the system. Until then they are kept for the next tensors: taking them anew
 * from the system costs more time than the arithmetic on them.
 */
export function releaseMemory(): void {
  shim().ft_memory_cpu_release();
}
