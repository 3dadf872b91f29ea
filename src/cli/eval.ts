// `fewtune eval`: the metrics of a fine-tuned model over a table file, a dataset's split, or a task of GLUE.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { evaluateGlue, type GlueEvaluation } from "../train/glue_evaluate.ts";
import { loadPredictor } from "../train/predictor.ts";
import { readTableFrom } from "../train/table_sources.ts";
import * as datasetOptions from "./dataset_options.ts";
import * as glueOptions from "./glue_options.ts";
import { deviceName, threadCount, wholeNumber } from "./option_values.ts";
import * as modelOptions from "./model_options.ts";
import { metricFacts, print, printFacts } from "./output.ts";
import { startLibTorch } from "./start.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `eval`. */
export function evalCommand(): CommandUnknownOpts {
  return new Command("eval")
    .description("evaluate a fine-tuned model on a table")
    .addOption(modelOptions.model)
    .addOption(modelOptions.revision)
    .option("--data <file>", "table to evaluate on: .tsv, .csv, .jsonl or .parquet, with named columns")
    .addOption(datasetOptions.dataset)
    .addOption(datasetOptions.revision)
    .option("--split <split>", "of the dataset, the split to evaluate on (default: validation or the like)")
    .addOption(glueOptions.glue)
    .addOption(glueOptions.glueDir)
    .option("--text <column>", "column of the text (default: text)")
    .option("--text-pair <column>", "column of the second text, where texts come in pairs")
    .option("--label <column>", "column of the label (default: label); a language model needs none")
    .option("--batch-size <count>", "texts that run together", wholeNumber(1), 32)
    .option("--max-length <tokens>", "cut texts to so many tokens (default: as in training)", wholeNumber(1))
    .option("--threads <count>", "threads on the CPU (default: LibTorch's choice)", threadCount)
    .option("--device <device>", "cpu, cuda or cuda:N", deviceName, "cpu" as const)
    .option("--json", "print one JSON object")
    .option("--quiet", "show no progress")
    .action(
      async ({ model, revision, batchSize, maxLength, threads, device, json = false, quiet = false, ...source }) => {
        const { glue, glueDir, datasetRevision, data, dataset, split, text, textPair, label } = source;
        const isGlue = glue !== undefined || glueDir !== undefined;
        if (isGlue) glueOptions.refuseBeside({ data, dataset, split, text, textPair, label });
        await startLibTorch(device, threads);
        using progress = showTrainingProgress(quiet);
        const hub = { onProgress: progress.onEvent };
        const onBatch = (path: string, done: number, total: number): void =>
          progress.onEvent({ type: "progress", task: `evaluating ${path}`, done, total });
        using predictor = await loadPredictor(model, { revision, maxLength, device, ...hub });
        if (isGlue) {
          const onNotice = (message: string): void => progress.onEvent({ type: "notice", step: 0, message });
          const options = { batchSize, onBatch, onNotice, ...hub };
          const evaluation = await evaluateGlue(predictor, { glue, glueDir, datasetRevision }, options);
          progress[Symbol.dispose]();
          showGlue(evaluation, json);
          return;
        }
        const columns = { text: text ?? "text", textPair, label: label ?? "label" };
        const needed = [columns.text, textPair ?? columns.text, columns.label];
        const table = await readTableFrom({ data, dataset, datasetRevision, split }, needed, hub);
        const onProgress = (done: number, total: number): void => onBatch(table.path, done, total);
        const { examples, metrics } = await predictor.evaluateTable(table, columns, { batchSize, onProgress });
        if (json) print(JSON.stringify({ examples, ...metrics }));
        else printFacts([["examples", String(examples)], ...metricFacts(metrics)]);
      },
    );
}

function showGlue({ task, dev, devMismatched, score }: GlueEvaluation, json: boolean): void {
  if (json) {
    const mismatched = devMismatched && { examples: devMismatched.examples, ...devMismatched.metrics };
    print(JSON.stringify({ examples: dev.examples, ...dev.metrics, ...(mismatched && { mismatched }), score }));
    return;
  }
  printFacts([
    ["examples", String(dev.examples)],
    ...metricFacts(dev.metrics),
    ...(devMismatched ? [["mismatched examples", String(devMismatched.examples)] as const] : []),
    ...metricFacts(devMismatched?.metrics ?? {}, "mismatched "),
    [`score of ${task}`, score.toFixed(4)],
  ]);
}
