// A model's predictions of GLUE's test texts, in the form that GLUE's server takes.

import { join } from "node:path";
import { type Example, readExamples } from "../data/examples.ts";
import { type GlueTask, indexColumn } from "../data/glue/tasks.ts";
import type { Table } from "../data/table.ts";
import { columnOf, placeOf } from "../data/table_column.ts";
import { CheckpointError, DataError } from "../errors.ts";
import { refuseExistingFile, writeNewFile } from "../files/output_file.ts";
import { type GlueSource, openGlue } from "./glue_data.ts";
import { given, type GlueEvaluateOptions } from "./glue_evaluate.ts";
import { modelLabels } from "./glue_labels.ts";
import type { Prediction, Predictor } from "./predictor.ts";

/**
 * Predicts a task's test texts and writes them into `folder` as GLUE's server takes them: `MRPC.tsv`, for MNLI
 * `MNLI-m.tsv` and `MNLI-mm.tsv`, each with the columns `index` and `prediction`. Labels are GLUE's own: words for MNLI,
 * QNLI and RTE, else 0 and 1; scores are cut to 0 to 5, with three decimals, as the formatter of GLUE's authors writes
 * them. Without a task (`glue`) it is the one that the model was trained on. Each file is written whole or not at all.
 *
 * @returns the paths of the files
 * @throws {CheckpointError} when a file is there already or cannot be written, or a score is not a number
 * @throws {DataError} when the test files cannot be read
 * @throws {HubError} when the dataset cannot be had
 * @throws {OptionError} when the model was trained for something else
 */
export async function glueSubmission(
  predictor: Predictor,
  source: GlueSource,
  folder: string,
  { batchSize = 32, onBatch, ...reading }: GlueEvaluateOptions = {},
): Promise<string[]> {
  const data = await openGlue({ glue: predictor.glue, ...given(source) }, reading);
  const { task } = data;
  const written = writtenLabels(predictor, task);
  const planned = task.files.filter(({ submission }) => submission !== undefined);
  const paths = planned.map(({ submission = "" }) => join(folder, submission));
  paths.forEach(refuseExistingFile);
  const tables: Table[] = [];
  for (const { part } of planned) tables.push(await data.read(part));
  const indices = tables.map(indicesOf);
  const texts: string[] = [];
  for (const [at, table] of tables.entries()) {
    const predictions = await predictAll(predictor, examplesOf(table, task), {
      batchSize,
      onProgress: (done, total) => onBatch?.(table.path, done, total),
    });
    const rows = predictions.map((prediction, row) => `${indices[at]?.[row]}\t${written(prediction)}\n`);
    texts.push(`index\tprediction\n${rows.join("")}`);
  }
  paths.forEach((path, at) => writeNewFile(path, texts[at] ?? ""));
  return paths;
}

/** What GLUE's server reads for a prediction. */
function writtenLabels({ classifier: { target } }: Predictor, task: GlueTask): (prediction: Prediction) => string {
  const { labels, writtenLabels = labels } = task;
  const names = modelLabels(target, task);
  return (prediction) => {
    if ("value" in prediction) return score(prediction.value);
    return "label" in prediction ? writtenLabels[names.indexOf(prediction.label)] ?? "" : "";
  };
}

function score(value: number): string {
  if (Number.isNaN(value)) {
    throw new CheckpointError("the model predicts what is not a number: its weights are damaged");
  }
  return Math.min(5, Math.max(0, value)).toFixed(3);
}

function examplesOf(table: Table, { text, textPair }: GlueTask): Example[] {
  return readExamples(table, { text, ...(textPair !== undefined && { textPair }) });
}

function indicesOf(table: Table): readonly string[] {
  const indices = columnOf(table, indexColumn);
  const seen = new Set<string>();
  for (const [row, index] of indices.entries()) {
    const where = `${placeOf(table, row)}: the index ${JSON.stringify(index.slice(0, 40))}`;
    if (!/^\d+$/.test(index)) throw new DataError(`${where} is not a whole number`);
    if (seen.has(index)) throw new DataError(`${where} is there twice`);
    seen.add(index);
  }
  return indices;
}

interface PredictAllOptions {
  readonly batchSize: number;
  readonly onProgress: (done: number, total: number) => void;
}

// So many texts are encoded at a time, and sorted by length among themselves.
const chunk = 2048;

async function predictAll(
  predictor: Predictor,
  examples: readonly Example[],
  { batchSize, onProgress }: PredictAllOptions,
): Promise<Prediction[]> {
  const predictions: Prediction[] = [];
  for (let from = 0; from < examples.length; from += chunk) {
    const some = examples.slice(from, from + chunk);
    predictions.push(
      ...await predictor.predict(some, {
        batchSize,
        onProgress: (done) => onProgress(from + done, examples.length),
      }),
    );
  }
  return predictions;
}
