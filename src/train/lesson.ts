// What a model is shown of an example, and what it has to answer.

import { DataError } from "../errors.ts";
import type { Target } from "../models/classifier.ts";
import type { Sequence } from "../selective/batch.ts";

/** An example to learn from: one without a label is refused, unless it is a language model's. */
export type TrainingExample = Sequence & { readonly label?: number };

/** What the model reads, and its answers: a label, a number, or at each position the token that comes next. */
export interface Lesson {
  readonly sequence: Sequence;
  readonly answers: ArrayLike<number>;
}

/**
 * The lessons of examples. A language model reads the tokens t_0 to t_(T-1) of a text t_0 to t_T, and answers t_1 to
 * t_T.
 *
 * @throws {DataError} when there is no example, one has no label, or a text has fewer than two tokens
 */
export function lessonsOf(examples: readonly TrainingExample[], target: Target): Lesson[] {
  if (target === "nextToken") return nextTokenLessons(examples);
  const labels = labelsOf(examples);
  return examples.map((sequence, index) => ({ sequence, answers: labels.slice(index, index + 1) }));
}

/** The answers at the selected positions, or of the whole sequence. */
export function answersAt({ answers }: Lesson, selected: readonly number[], target: Target): number[] {
  return target === "nextToken" ? selected.map((position) => answers[position] ?? 0) : Array.from(answers);
}

/** The labels of examples. Throws {@linkcode DataError} when there is none to give. */
export function labelsOf(examples: readonly { readonly label?: number }[]): number[] {
  requireSome(examples);
  return examples.map(({ label }, index) => {
    if (label === undefined) throw new DataError(`example ${index + 1} has no label`);
    return label;
  });
}

/**
 * Refuses texts that have no next token.
 *
 * @param nameOf what an error calls the text with this index
 * @throws {DataError} when there is no text, or one has fewer than two tokens
 */
export function requireNextTokens(
  texts: readonly Pick<Sequence, "inputIds">[],
  nameOf: (index: number) => string = (index) => `example ${index + 1}`,
): void {
  requireSome(texts);
  const short = texts.findIndex(({ inputIds }) => inputIds.length < 2);
  if (short < 0) return;
  const count = texts[short]?.inputIds.length === 1 ? "1 token" : "no token";
  throw new DataError(
    `${nameOf(short)} has ${count}: a language model needs two or more, to predict each from those before`,
  );
}

function nextTokenLessons(texts: readonly Sequence[]): Lesson[] {
  requireNextTokens(texts);
  return texts.map(({ inputIds, tokenTypeIds }) => {
    const tokens = Int32Array.from(inputIds);
    return { sequence: { inputIds: tokens.subarray(0, -1), tokenTypeIds }, answers: tokens.subarray(1) };
  });
}

function requireSome(examples: readonly unknown[]): void {
  if (examples.length === 0) throw new DataError("there are no examples");
}
