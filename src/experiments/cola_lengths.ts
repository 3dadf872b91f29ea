// Lengths like those of CoLA's sentences: short, of mean 11.3 tokens, with a tail.

import { SeededRandom } from "../data/prng.ts";

// How many of the 8,551 training sentences of CoLA (Warstadt et al. 2019; GLUE) have 4, 5, 6, ... tokens with [CLS] and
// [SEP], by the word pieces of `bert-base-uncased`.
const shortest = 4;
const sentences = [
  ...[7, 129, 310, 649, 979, 1154, 1129, 916, 797, 574, 452, 334, 235, 182, 145, 125, 96, 66, 67, 66, 41, 26],
  ...[21, 17, 6, 8, 6, 1, 8, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1],
];
const total = sentences.reduce((sum, count) => sum + count);

/**
 * The lengths of `count` sentences in tokens, with [CLS] and [SEP]: one from each of `count` equal parts of CoLA's
 * distribution, in random order. The same seed gives the same lengths, and the mean hardly depends on it.
 */
export function colaLengths(count: number, seed: number): number[] {
  const random = new SeededRandom(seed);
  const lengths = Array.from({ length: count }, (_, part) => {
    const within = random.nextUint32() / 2 ** 32;
    return lengthAt((part + within) / count * total);
  });
  return random.shuffle(lengths);
}

// The length of the sentence at this place, were they sorted by length.
function lengthAt(place: number): number {
  let left = place;
  return shortest + sentences.findIndex((count) => (left -= count) < 0);
}
