// `fewtune predict`: the label and its probability, the number, or a language model's perplexity, for each text; or
// GLUE's test files, predicted for GLUE's server.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import type { Example } from "../data/examples.ts";
import { DataError, OptionError } from "../errors.ts";
import { loadPredictor, type Prediction, type Predictor } from "../train/predictor.ts";
import * as glueOptions from "./glue_options.ts";
import { submit } from "./glue_submission.ts";
import { deviceName, threadCount, wholeNumber } from "./option_values.ts";
import * as modelOptions from "./model_options.ts";
import { print } from "./output.ts";
import { startLibTorch } from "./start.ts";
import { stdinLines } from "./stdin_lines.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `predict`. */
export function predictCommand(): CommandUnknownOpts {
  return new Command("predict")
    .description(
      "predict the label of texts (a language model: their perplexity), from arguments or the lines of standard input",
    )
    .argument("[texts...]", "the texts; none: each line of standard input is one")
    .addOption(modelOptions.model)
    .addOption(modelOptions.revision)
    .option("--text-pair <text>", "the second text of each pair")
    .option("--jsonl", `lines of standard input are objects: {"text": ..., "textPair": ...}`)
    .option("--json", "print one JSON object a line")
    .option("--logits", "with --json: the logits of all labels too")
    .option("--batch-size <count>", "texts that run together", wholeNumber(1), 32)
    .option("--max-length <tokens>", "cut texts to so many tokens (default: as in training)", wholeNumber(1))
    .option("--threads <count>", "threads on the CPU (default: LibTorch's choice)", threadCount)
    .option("--device <device>", "cpu, cuda or cuda:N", deviceName, "cpu" as const)
    .option("--glue-submission <dir>", "instead of texts: predict the test files of a task of GLUE, for GLUE's server")
    .addOption(glueOptions.glue)
    .addOption(glueOptions.glueDir)
    .action(
      async (
        texts,
        { model, revision, batchSize, maxLength, threads, device, glueSubmission, glue, glueDir, ...rest },
      ) => {
        const { textPair, jsonl, json, logits = false } = rest;
        if (glueSubmission !== undefined) {
          glueOptions.refuseBeside({ texts: texts[0], textPair, jsonl, json, logits: logits || undefined });
          await startLibTorch(device, threads);
          const options = { model, revision, maxLength, device, batchSize };
          await submit({ glue, glueDir, folder: glueSubmission }, options);
          return;
        }
        if (glue ?? glueDir) throw new OptionError("--glue and --glue-dir go with --glue-submission");
        if (logits && !json) throw new OptionError("--logits goes with --json");
        if (jsonl && texts.length > 0) throw new OptionError("--jsonl is for standard input, but texts are given");
        await startLibTorch(device, threads);
        using progress = showTrainingProgress(false);
        using predictor = await loadPredictor(model, { revision, maxLength, device, onProgress: progress.onEvent });
        progress[Symbol.dispose]();
        const show = json ? (each: Prediction) => jsonText(each, logits) : humanText(predictor);
        const withPair = (text: string): Example => ({ text, ...(textPair !== undefined && { textPair }) });
        for await (
          const examples of texts.length > 0
            ? [texts.map(withPair)]
            : stdinExamples(batchSize, jsonl ?? false, withPair)
        ) {
          const predictions = await predictor.predict(examples, { batchSize });
          predictions.forEach((prediction, index) => print(show(prediction, examples[index]?.text ?? "")));
        }
      },
    );
}

/** Makes a line of a prediction. */
export type Show = (prediction: Prediction, text: string) => string;

function jsonText(prediction: Prediction, withLogits: boolean): string {
  if (!("label" in prediction)) return JSON.stringify(prediction);
  const { label, score, logits } = prediction;
  return JSON.stringify({ label, score, ...(withLogits && { logits }) });
}

/** A line that says what was predicted, and begins to say of what. */
export function humanText({ classifier: { labels } }: Predictor): Show {
  const labelWidth = Math.max(0, ...labels.map((label) => label.length));
  const width = Deno.stdout.isTerminal() ? Deno.consoleSize().columns : 100;
  return (prediction, text) => {
    const answer = answerText(prediction, labelWidth);
    return `${answer}  ${shorten(text.replaceAll(/\s+/g, " ").trim(), width - answer.length - 2)}`;
  };
}

function answerText(prediction: Prediction, labelWidth: number): string {
  if ("value" in prediction) return prediction.value.toFixed(4);
  if ("perplexity" in prediction) return `perplexity ${prediction.perplexity.toFixed(2)}`;
  return `${prediction.label.padEnd(labelWidth)}  ${prediction.score.toFixed(4)}`;
}

function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

// What comes before a line that cannot be read is predicted.
async function* stdinExamples(
  most: number,
  isJsonl: boolean,
  withPair: (text: string) => Example,
): AsyncGenerator<Example[]> {
  if (Deno.stdin.isTerminal()) console.error("reading texts, one a line; Ctrl-D ends");
  let number = 0;
  for await (const lines of stdinLines(most)) {
    const examples: Example[] = [];
    try {
      for (const line of lines) {
        number++;
        examples.push(isJsonl ? { ...withPair(""), ...parseExample(line, number) } : withPair(line));
      }
    } catch (error) {
      yield examples;
      throw error;
    }
    yield examples;
  }
}

function parseExample(line: string, number: number): Example {
  const { text, textPair } = parseObject(line);
  if (typeof text === "string" && (textPair === undefined || typeof textPair === "string")) {
    return { text, ...(textPair !== undefined && { textPair }) };
  }
  throw new DataError(`standard input, line ${number}: not a JSON object whose "text" (and "textPair") is a string`);
}

function parseObject(line: string): { readonly text?: unknown; readonly textPair?: unknown } {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}
