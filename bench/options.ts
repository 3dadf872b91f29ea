// Reads the benchmarks' command-line values.

import type { Lengths } from "./lengths.ts";

/** A whole number of at least 1. Throws, with the flag's name, for anything else. */
export function count(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new Error(`--${flag} ${text}: it has to be a whole number of at least 1`);
}

/** `cola`, or a length for all sequences. */
export function lengthsOption(text: string): Lengths {
  return text === "cola" ? text : count("lengths", text);
}
