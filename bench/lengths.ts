// The lengths of a batch's sequences: all the same, or like those of CoLA's sentences.

import { SeededRandom } from "../src/data/prng.ts";

/** One number of tokens for all sequences, or lengths like CoLA's. */
export type Lengths = number | "cola";

// How many of the 8,551 training sentences of CoLA (Warstadt et al. 2019) have 0, 1, 2, ... tokens in BERT's uncased
// vocabulary, [CLS] and [SEP] included. Their mean is 11.3.
// deno-fmt-ignore
const colaHistogram = [
  0, 0, 0, 0, 7, 129, 310, 649, 979, 1154, 1129, 916, 797, 574, 452, 334, 235, 182, 145, 125, 96, 66, 67, 66,
  41, 26, 21, 17, 6, 8, 6, 1, 8, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1,
];

/**
 * Lengths with CoLA's distribution, one from each of `count` equal parts of it, in random order: the same seed gives the
 * same lengths, and the mean hardly depends on it.
 */
export function colaLengths(count: number, seed: number): number[] {
  const random = new SeededRandom(seed);
  const sentences = colaHistogram.reduce((sum, frequency) => sum + frequency, 0);
  const lengths = Array.from({ length: count }, (_, part) => {
    const within = random.nextUint32() / 2 ** 32;
    return lengthAt((part + within) / count * sentences);
  });
  return random.shuffle(lengths);
}

/** The lengths of a batch of `count` sequences. */
export function lengthsOf(lengths: Lengths, count: number): number[] {
  return lengths === "cola" ? colaLengths(count, 0) : Array.from({ length: count }, () => lengths);
}

// The length of a sentence, when all are sorted by length.
function lengthAt(sentence: number): number {
  let shorter = 0;
  return colaHistogram.findIndex((frequency) => (shorter += frequency) > sentence);
}
