// Evaluation: logits of every example without gradients, and the metrics of the task.

import { evaluationBatches, inOriginalOrder } from "../data/batches.ts";
import { DataError } from "../errors.ts";
import { accuracy, f1, macroF1, majorityAccuracy, matthews } from "../metrics/classification.ts";
import { pearson, spearman } from "../metrics/regression.ts";
import { type Classifier, type LabelTarget, requireOneAnswer, type Target } from "../models/classifier.ts";
import { packBatch, packingFor, type Sequence } from "../selective/batch.ts";
import { forward } from "../selective/forward.ts";
import { allPositions } from "../selective/positions.ts";
import { item, noGrad, scope, type Tensor, tensorFrom, toNumbers } from "../torch/mod.ts";
import { lossOf } from "./loss.ts";
import { nextTask } from "./next_task.ts";

/** How examples are run through a model. */
export interface PredictOptions {
  /** Sequences that run together. Default 32. */
  readonly batchSize?: number;
  /** Told after each batch how many examples are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Metrics by name. Of a classification: `loss`, `accuracy`, `f1` (of label 1 of two, else the mean over the labels),
 * `matthews`, and `majority`, the accuracy of always saying the most frequent label. Of a regression: `loss` (the mean
 * squared error), `pearson`, `spearman`.
 */
export type Metrics = Readonly<Record<string, number>>;

/**
 * The logits of each sequence, in the order given. Sequences of like length run together; a sequence's logits do not
 * depend on its neighbours.
 */
export async function predictLogits(
  classifier: Classifier,
  sequences: readonly Sequence[],
  options: PredictOptions = {},
): Promise<number[][]> {
  const { batchSize = 32, onProgress } = options;
  const batches = evaluationBatches(sequences.map(({ inputIds }) => inputIds.length), batchSize);
  const logits: number[][][] = [];
  let done = 0;
  for (const indices of batches) {
    logits.push(logitsOf(classifier, indices.flatMap((index) => sequences[index] ?? [])));
    done += indices.length;
    onProgress?.(done, sequences.length);
    await nextTask();
  }
  return inOriginalOrder(batches, logits);
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
 * The task's metrics over labelled examples.
 *
 * @throws {DataError} when there is no example, or one has no label
 * @throws {OptionError} when each label is a question of its own
 */
export async function evaluate(
  classifier: Classifier,
  examples: readonly (Sequence & { readonly label?: number })[],
  options: PredictOptions = {},
): Promise<Metrics> {
  requireOneAnswer(classifier.target);
  const labels = labelsOf(examples);
  const logits = await predictLogits(classifier, examples, options);
  const loss = scope(() => item(lossOf(logitTensor(logits, classifier), labels, classifier.target)));
  return { loss, ...scores(logits, labels, classifier.target) };
}

/** The labels of examples. Throws {@linkcode DataError} when there is none to give. */
export function labelsOf(examples: readonly { readonly label?: number }[]): number[] {
  if (examples.length === 0) throw new DataError("there are no examples");
  return examples.map(({ label }, index) => {
    if (label === undefined) throw new DataError(`example ${index + 1} has no label`);
    return label;
  });
}

function logitTensor(logits: readonly (readonly number[])[], { model }: Classifier): Tensor {
  return tensorFrom(logits.flat(), { shape: [logits.length, model.numLabels] });
}

function scores(logits: readonly (readonly number[])[], labels: readonly number[], target: Target): Metrics {
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
