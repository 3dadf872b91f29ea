// Random OPTs that predict the next token, and texts for them.

import type { Classifier, Sequence } from "../../mod.ts";
import { SeededRandom } from "../../src/data/prng.ts";
import { vocabSize } from "./random_bert.ts";
import { postNorm, randomOpt, type RandomOptOptions } from "./random_opt.ts";

/** A tied head, one of its own, and a tied one behind projections. */
export const languageShapes = { tied: {}, untied: { tie_word_embeddings: false }, "post-norm": postNorm };

/** Three layers, hidden size 32, 50 tokens. */
export function randomLanguageModel({ fields = {}, ...others }: RandomOptOptions = {}): Classifier {
  return randomOpt({ target: "nextToken", pooling: "each", fields: { init_std: 0.1, ...fields }, ...others });
}

/** Texts of so many tokens that count on from a random one, without the padding. */
export function countingTexts(lengths: readonly number[], seed = 1): Sequence[] {
  const random = new SeededRandom(seed);
  const tokens = vocabSize - 2;
  return lengths.map((length) => {
    const first = random.below(tokens);
    const inputIds = Array.from({ length }, (_, position) => 2 + (first + position) % tokens);
    return { inputIds, tokenTypeIds: new Uint8Array(length) };
  });
}
