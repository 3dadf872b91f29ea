// Evaluation: logits of every example without gradients, and the metrics of the task.

import { OptionError } from "../errors.ts";
import { accuracy, f1, macroF1, majorityAccuracy, matthews } from "../metrics/classification.ts";
import { pearson, spearman } from "../metrics/regression.ts";
import { type Classifier, type LabelTarget, requireOneAnswer, type Target } from "../models/classifier.ts";
import { packBatch, packingFor, type Sequence } from "../selective/batch.ts";
import { forward } from "../selective/forward.ts";
import { allPositions } from "../selective/positions.ts";
import { item, noGrad, scope, type Tensor, tensorFrom, toNumbers } from "../torch/mod.ts";
import { inBatches, type PredictOptions } from "./in_batches.ts";
import { labelsOf } from "./lesson.ts";
import { lossOf } from "./loss.ts";
import { scoreTexts, type TextScore, totalScore } from "./text_score.ts";

/**
 * Metrics by name. Of a classification: `loss`, `accuracy`, `f1` (of label 1 of two, else the mean over the labels),
 * `matthews`, and `majority`, the accuracy of always saying the most frequent label. Of a regression: `loss` (the mean
 * squared error), `pearson`, `spearman`. Of a language model, over every token that has one before it: `loss`,
 * `perplexity` (e to the loss), `accuracy`.
 */
export type Metrics = Readonly<Record<string, number>>;

const ofAnyTask = {
  classification: ["loss", "accuracy", "f1", "matthews", "majority"],
  regression: ["loss", "pearson", "spearman"],
  nextToken: ["loss", "perplexity", "accuracy"],
} as const;

/** The names of the metrics that {@linkcode evaluate} gives for a target. */
export function metricNames(target: Target): readonly string[] {
  return ofAnyTask[typeof target === "string" ? target : "classification"];
}

/**
 * The logits of each sequence, in the order given. Sequences of like length run together; a sequence's logits do not
 * depend on its neighbours.
 *
 * @throws {OptionError} for a language model, which has logits at each position: {@linkcode evaluate} measures it,
 * {@linkcode forward} gives them
 */
export async function predictLogits(
  classifier: Classifier,
  sequences: readonly Sequence[],
  options: PredictOptions = {},
): Promise<number[][]> {
  if (classifier.target === "nextToken") {
    throw new OptionError("a language model has logits at each position, not of a sequence: evaluate it");
  }
  return await inBatches(sequences, options, (batch) => logitsOf(classifier, batch));
}

function logitsOf({ model }: Classifier, sequences: readonly Sequence[]): number[][] {
  return noGrad(() =>
    scope(() => {
      const selected = allPositions(sequences.map(({ inputIds }) => inputIds.length));
      const batch = packBatch(sequences, { selected, ...packingFor(model) });
      const values = toNumbers(forward(model, batch, null));
      return sequences.map((_, row) => values.slice(row * model.numLabels, (row + 1) * model.numLabels));
    })
  );
}

/** The label id that has the highest logit. */
export function argmax(logits: readonly number[]): number {
  return logits.indexOf(Math.max(...logits));
}

/** The probability of each label by its logits: softmax, or of labels that exclude no other the sigmoid of each. */
export function probabilities(logits: readonly number[], { isMultiLabel }: Partial<LabelTarget> = {}): number[] {
  if (isMultiLabel) return logits.map((logit) => 1 / (1 + Math.exp(-logit)));
  const highest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - highest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/**
 * The task's metrics over labelled examples, or over a language model's texts.
 *
 * @throws {DataError} when there is no example, one has no label, or a text has fewer than two tokens
 * @throws {OptionError} when each label is a question of its own
 */
export async function evaluate(
  classifier: Classifier,
  examples: readonly (Sequence & { readonly label?: number })[],
  options: PredictOptions = {},
): Promise<Metrics> {
  const { target } = classifier;
  if (target === "nextToken") return languageMetrics(totalScore(await scoreTexts(classifier, examples, options)));
  requireOneAnswer(target);
  const labels = labelsOf(examples);
  const logits = await predictLogits(classifier, examples, options);
  const loss = scope(() => item(lossOf(logitTensor(logits, classifier), labels, target)));
  return { loss, ...scores(logits, labels, target) };
}

function languageMetrics({ loss, tokens, correct }: TextScore): Metrics {
  return { loss: loss / tokens, perplexity: Math.exp(loss / tokens), accuracy: correct / tokens };
}

function logitTensor(logits: readonly (readonly number[])[], { model }: Classifier): Tensor {
  return tensorFrom(logits.flat(), { shape: [logits.length, model.numLabels] });
}

function scores(
  logits: readonly (readonly number[])[],
  labels: readonly number[],
  target: LabelTarget | "regression",
): Metrics {
  if (target === "regression") {
    const predictions = logits.map(([value = NaN]) => value);
    return { pearson: pearson(predictions, labels), spearman: spearman(predictions, labels) };
  }
  const predictions = logits.map(argmax);
  return {
    accuracy: accuracy(predictions, labels),
    f1: target.labels.length === 2 ? f1(predictions, labels) : macroF1(predictions, labels),
    matthews: matthews(predictions, labels),
    majority: majorityAccuracy(labels),
  };
}
