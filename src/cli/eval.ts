// `fewtune eval`: the metrics of a fine-tuned model over a table file or a dataset's split.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { loadPredictor } from "../train/predictor.ts";
import { readTableFrom } from "../train/table_sources.ts";
import * as datasetOptions from "./dataset_options.ts";
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
    .option("--text <column>", "column of the text", "text")
    .option("--text-pair <column>", "column of the second text, where texts come in pairs")
    .option("--label <column>", "column of the label; a language model needs none", "label")
    .option("--batch-size <count>", "texts that run together", wholeNumber(1), 32)
    .option("--max-length <tokens>", "cut texts to so many tokens (default: as in training)", wholeNumber(1))
    .option("--threads <count>", "threads on the CPU (default: LibTorch's choice)", threadCount)
    .option("--device <device>", "cpu, cuda or cuda:N", deviceName, "cpu" as const)
    .option("--json", "print one JSON object")
    .option("--quiet", "show no progress")
    .action(
      async ({ model, revision, text, textPair, label, batchSize, maxLength, threads, device, json, ...options }) => {
        await startLibTorch(device, threads);
        using progress = showTrainingProgress(options.quiet ?? false);
        const hub = { onProgress: progress.onEvent };
        using predictor = await loadPredictor(model, { revision, maxLength, device, ...hub });
        const table = await readTableFrom(options, [text, textPair ?? text, label], hub);
        const onProgress = (done: number, total: number): void =>
          progress.onEvent({ type: "progress", task: `evaluating ${table.path}`, done, total });
        const columns = { text, textPair, label };
        const { examples, metrics } = await predictor.evaluateTable(table, columns, { batchSize, onProgress });
        if (json) print(JSON.stringify({ examples, ...metrics }));
        else printFacts([["examples", String(examples)], ...metricFacts(metrics)]);
      },
    );
}
