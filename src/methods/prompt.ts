// Prompts: tokens whose word embeddings train stand before every text (Lester et al. 2021).

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import type { Backbone } from "../models/contract.ts";
import { requireRoom } from "../models/preceding.ts";
import { parameter } from "../nn/module.ts";
import { oneOf, wholeNumber } from "../options/values.ts";
import {
  copy_,
  empty,
  type Generator,
  indexSelect,
  noGrad,
  normal_,
  random_,
  scope,
  type Tensor,
} from "../torch/mod.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";

/** The first values of a prompt. */
export const promptInits = ["random", "vocabulary"] as const;

/** What prompts are told. */
export interface PromptOptions {
  /** P, the virtual tokens that stand before each text. Default 20. */
  readonly promptLength?: number | undefined;
  /**
   * `random`: normal with deviation 1, PEFT's `RANDOM`. `vocabulary`: the embeddings of words drawn at random, PEFT's
   * `SAMPLE_VOCAB` (Lester et al. 2021, section 3.2). Default `random`.
   */
  readonly promptInit?: typeof promptInits[number] | undefined;
}

const declarations = {
  promptLength: wholeNumber({ least: 1 }).describe("virtual tokens before each text (default: 20)"),
  promptInit: oneOf(promptInits, "values").describe("what their embeddings begin as (default: random)"),
};

const defaults = { promptLength: 20, promptInit: "random" } as const;

/**
 * P virtual tokens, whose rows `[P, wordEmbeddingSize]` train, go through the embeddings like a text's: positions 0 to
 * P - 1, which the text's follow, and token type 0. The text can have P tokens fewer. They are a part of the sequence:
 * the head on the first position reads the first of them, and that on the mean reads them all, as in PEFT; a language
 * model predicts nothing at them.
 *
 * In selective fine-tuning they are always selected, beside the k positions of the text: a position that is not selected
 * has no gradient, so that its row would not train. In the mean that a head reads the k positions then count for all of
 * the text's, as they do at the end of training.
 */
export const prompt = {
  name: "prompt",
  summary: "tokens before each text whose embeddings train (Lester et al. 2021)",
  options: declarations,
  defaults,
  saves: "adapter",
  apply({ backbone, layers }: OpenParts, options: PromptOptions, random: Generator): readonly Insertion[] {
    if (layers.length < backbone.layers.length) {
      throw new OptionError(
        "prompt trains what goes into the lowest layer, below the frozen ones, which it trains no more than the others: " +
          "leave freeze out",
      );
    }
    const { promptLength = defaults.promptLength, promptInit = defaults.promptInit } = options;
    requireRoom(backbone, "promptLength", promptLength);
    const { rows, insertion } = insertPrompt(backbone, promptLength);
    initialize(rows, backbone, promptInit, random);
    return [insertion];
  },
} as const satisfies WeightMethod<PromptOptions>;

/** Puts an uninitialised prompt into a model. */
export function insertPrompt(
  { words, dtype, device }: Backbone,
  length: number,
): { readonly rows: Tensor; readonly insertion: Insertion } {
  const rows = parameter([length, words.size], { dtype, device });
  words.extend(rows);
  const insertion = {
    module: { parameters: { virtual: rows } },
    detach: () => words.extend(null),
    attach: () => words.extend(rows),
    merging: null,
  };
  return { rows, insertion };
}

function initialize(
  rows: Tensor,
  { words, device }: Backbone,
  init: typeof promptInits[number],
  random: Generator,
): void {
  noGrad(() =>
    scope(() => {
      if (init === "random") return void normal_(rows, 0, 1, { generator: random });
      const ids = random_(empty([rows.length(0)], { dtype: "int64", device }), 0, words.count, { generator: random });
      copy_(rows, indexSelect(words.weight, 0, ids));
    })
  );
}
