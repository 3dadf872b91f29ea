// The lengths of a batch's sequences: all the same, or like those of CoLA's sentences.

import { colaLengths } from "../src/experiments/cola_lengths.ts";

/** One number of tokens for all sequences, or lengths like CoLA's. */
export type Lengths = number | "cola";

/** The lengths of a batch of `count` sequences. */
export function lengthsOf(lengths: Lengths, count: number): number[] {
  return lengths === "cola" ? colaLengths(count, 0) : Array.from({ length: count }, () => lengths);
}
