// How well a model does on a task of GLUE: its metrics on dev, for MNLI on mismatched dev too, and the task's score.

import type { Table } from "../data/table.ts";
import { glueColumns, type GlueReadOptions, type GlueSource, openGlue, readGlueDev } from "./glue_data.ts";
import { inModelLabels, modelLabels } from "./glue_labels.ts";
import { glueScore } from "./glue_score.ts";
import type { PredictOptions } from "./in_batches.ts";
import type { Predictor, TableMetrics } from "./predictor.ts";

/** How well a model does on a task of GLUE. */
export interface GlueEvaluation {
  /** As GLUE names it. */
  readonly task: string;
  readonly dev: TableMetrics;
  /** Of MNLI, where its file is there; null else. */
  readonly devMismatched: TableMetrics | null;
  /** The mean of what GLUE reports of the task, as {@linkcode glueScore} gives it. */
  readonly score: number;
}

/** How {@linkcode evaluateGlue} evaluates. */
export interface GlueEvaluateOptions extends Pick<PredictOptions, "batchSize">, GlueReadOptions {
  /** Told after each batch which table is evaluated, and how many of its examples are done. */
  readonly onBatch?: (path: string, done: number, total: number) => void;
}

/**
 * Evaluates a model on a task's dev. Without a task (`glue`) it is the one that the model was trained on. A model that
 * calls its classes otherwise is understood when it has their names, GLUE's own labels, or no names at all.
 *
 * @throws {DataError} when the tables cannot be read
 * @throws {HubError} when the dataset cannot be had
 * @throws {OptionError} when the model was trained for something else
 */
export async function evaluateGlue(
  predictor: Predictor,
  source: GlueSource,
  { batchSize, onBatch, ...reading }: GlueEvaluateOptions = {},
): Promise<GlueEvaluation> {
  const { target } = predictor.classifier;
  const data = await openGlue({ glue: predictor.glue, ...given(source) }, reading);
  modelLabels(target, data.task);
  const { dev, devMismatched } = await readGlueDev(data, reading);
  const evaluate = async (table: Table): Promise<TableMetrics> =>
    await predictor.evaluateTable(inModelLabels(table, target, data.task), glueColumns(data.task), {
      ...(batchSize !== undefined && { batchSize }),
      onProgress: (done, total) => onBatch?.(table.path, done, total),
    });
  const matched = await evaluate(dev);
  const mismatched = devMismatched ? await evaluate(devMismatched) : null;
  const evaluations = mismatched ? [matched, mismatched] : [matched];
  const score = glueScore(data.task.name, ...evaluations.map(({ metrics }) => metrics));
  return { task: data.task.name, dev: matched, devMismatched: mismatched, score };
}

/** Without what is undefined. */
export function given(source: GlueSource): GlueSource {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined));
}
