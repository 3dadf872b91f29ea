// The machine as far as speed and memory depend on it: processor, cores, instruction sets, memory.

import { cpus, totalmem } from "node:os";

/** The processor and memory of this machine. */
export interface Machine {
  readonly os: string;
  readonly arch: string;
  readonly cpu: string | null;
  /** Logical cores that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  /** Those of {@link notableInstructionSets} that the processor has; `null` when that could not be read. */
  readonly instructionSets: readonly string[] | null;
}

/** Instruction sets, as Linux names them, on which LibTorch's speed depends. */
export const notableInstructionSets = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"] as const;

/** Whether the processor multiplies bfloat16 itself; `null` when its instruction sets could not be read. */
export function multipliesBfloat16({ instructionSets }: Machine): boolean | null {
  return instructionSets && instructionSets.includes("avx512_bf16");
}

/** Describes this machine. Needs `--allow-sys`, and all permissions for the instruction sets (Deno guards `/proc`). */
export async function describeMachine(): Promise<Machine> {
  const { os, arch } = Deno.build;
  return {
    os,
    arch,
    cpu: cpus()[0]?.model.trim() || null,
    cores: navigator.hardwareConcurrency,
    memoryBytes: totalmem(),
    instructionSets: await instructionSets(),
  };
}

async function instructionSets(): Promise<string[] | null> {
  try {
    const flags = /^flags\s*:(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1]?.split(/\s+/) ?? [];
    return notableInstructionSets.filter((name) => flags.includes(name));
  } catch {
    return null;
  }
}
