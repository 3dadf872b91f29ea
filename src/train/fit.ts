// Whether a model, its tokenizer and a length fit each other: asked before anything long begins.

import type { Tokenizer } from "../data/tokenizer.ts";
import { CheckpointError, OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";

/** Throws {@linkcode CheckpointError} when the tokenizer gives ids that the model has no embedding for. */
export function requireVocabulary({ model }: Classifier, tokenizer: Tokenizer, folder: string): void {
  const { vocabSize } = model.backbone;
  if (tokenizer.vocabSize <= vocabSize) return;
  throw new CheckpointError(
    `${folder}/tokenizer.json has ${tokenizer.vocabSize} tokens and the model embeds ${vocabSize}: ` +
      `it is another model's tokenizer`,
  );
}

/** The length in tokens to cut texts to. Throws {@linkcode OptionError} when the model has not so many positions. */
export function checkedMaxLength(wanted: number | undefined, fallback: number, maxPositions: number): number {
  if (wanted === undefined) return Math.min(fallback, maxPositions);
  if (Number.isInteger(wanted) && wanted >= 1 && wanted <= maxPositions) return wanted;
  throw new OptionError(`the maximum length is ${wanted}, this model takes 1 to ${maxPositions} tokens`);
}
