// How well a language model predicts texts: the loss at every position, and which tokens it gets right.

import type { Classifier } from "../models/classifier.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { packBatch, packingFor, type Sequence } from "../selective/batch.ts";
import { pool } from "../selective/forward.ts";
import { logitRows } from "../selective/logit_rows.ts";
import { allPositions } from "../selective/positions.ts";
import { argmax, crossEntropyLoss, narrow, noGrad, scope, type Tensor, tensorFrom, toNumbers } from "../torch/mod.ts";
import { inBatches, type PredictOptions } from "./in_batches.ts";
import { answersAt, type Lesson, lessonsOf } from "./lesson.ts";

/** How well a text is predicted. */
export interface TextScore {
  /** The sum of -log p over the tokens that have one before them. */
  readonly loss: number;
  /** Their number: one less than the text has. */
  readonly tokens: number;
  /** Of how many of them the model gives the highest probability to the right one. */
  readonly correct: number;
}

/**
 * The scores of texts, in the order given. Whatever the vocabulary, logits take 64 MiB at once.
 *
 * @throws {DataError} when there is no text, or one has fewer than two tokens
 */
export async function scoreTexts(
  { model }: Classifier,
  texts: readonly Sequence[],
  options: PredictOptions = {},
): Promise<TextScore[]> {
  const lessons = lessonsOf(texts, "nextToken").map((lesson) => ({ ...lesson, inputIds: lesson.sequence.inputIds }));
  return await inBatches(lessons, options, (batch) => scoreBatch(model, batch));
}

/** Of several texts together. */
export function totalScore(scores: readonly TextScore[]): TextScore {
  const total = (name: keyof TextScore): number => scores.reduce((sum, score) => sum + score[name], 0);
  return { loss: total("loss"), tokens: total("tokens"), correct: total("correct") };
}

function scoreBatch(model: SequenceClassifier, lessons: readonly Lesson[]): TextScore[] {
  const sequences = lessons.map(({ sequence }) => sequence);
  const selected = allPositions(sequences.map(({ inputIds }) => inputIds.length));
  const answers = lessons.map((lesson, index) => answersAt(lesson, selected[index] ?? [], "nextToken"));
  const tokens = noGrad(() =>
    scope(() =>
      scoreTokens(model, pool(model, packBatch(sequences, { selected, ...packingFor(model) }), null), answers.flat())
    )
  );
  let next = 0;
  return answers.map(({ length }) => {
    const own = tokens.slice(next, next += length);
    return {
      loss: own.reduce((sum, { loss }) => sum + loss, 0),
      tokens: length,
      correct: own.filter(({ isCorrect }) => isCorrect).length,
    };
  });
}

interface TokenScore {
  readonly loss: number;
  readonly isCorrect: boolean;
}

// Of what the head reads, `[P, hiddenSize]`, and the P tokens that come next.
function scoreTokens(model: SequenceClassifier, pooled: Tensor, answers: readonly number[]): TokenScore[] {
  const step = logitRows(model);
  const scores: TokenScore[] = [];
  for (let from = 0; from < answers.length; from += step) {
    const some = answers.slice(from, from + step);
    scores.push(...scope(() => scoreRows(model.classify(narrow(pooled, 0, from, some.length), null), some)));
  }
  return scores;
}

function scoreRows(logits: Tensor, answers: readonly number[]): TokenScore[] {
  const best = toNumbers(argmax(logits, 1));
  const losses = toNumbers(
    crossEntropyLoss(logits, tensorFrom(answers, { dtype: "int64", device: logits.device }), null, 0),
  );
  return answers.map((answer, row) => ({ loss: losses[row] ?? NaN, isCorrect: best[row] === answer }));
}
