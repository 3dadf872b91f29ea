// Exports a classifier as ONNX, in the layout of transformers.js, which runs it in a browser or in Deno.
//
// The graph is drawn by PyTorch's exporter, in a Python beside: no package of npm makes one of a model.

import { join } from "node:path";
import { CheckpointError, OptionError, SetupError } from "../errors.ts";
import { loadClassifier } from "../methods/load.ts";
import { mergeAdapter } from "../methods/merge.ts";
import type { Classifier } from "../models/classifier.ts";
import { checkOutputFolder, writeFolder, writeText } from "../files/output_folder.ts";
import { saveClassifier } from "../models/save.ts";
import { standardConfig } from "../models/saved_config.ts";
import { completeTokenizer, copyTokenizer } from "../models/tokenizer_files.ts";
import { requireRunnable, runIfPresent } from "../native/command.ts";
import { parameterBytes } from "../nn/module.ts";
import script from "./to_onnx.py" with { type: "text" };

/** What {@linkcode exportOnnx} exports, and by what. */
export interface OnnxOptions {
  /** The folder of a fine-tuned model or adapter. */
  readonly model: string;
  /** The folder to write; it must not exist. */
  readonly outputDir: string;
  /**
   * A Python with the packages torch, transformers, onnx and onnxscript. Default: what the environment variable
   * `FEWTUNE_PYTHON` names, else `python3`.
   */
  readonly python?: string | undefined;
}

/** What was exported. */
export interface OnnxResult {
  /** Of model.onnx. */
  readonly bytes: number;
}

// A file of ONNX is one message of protobuf.
const mostBytes = 2 ** 31 - 2 ** 20;

const minutes = 30;

/**
 * Exports a fine-tuned model: `onnx/model.onnx` (inputs `input_ids`, `attention_mask` and, where the model has them,
 * `token_type_ids`, each `[batch, length]` int64; output `logits`), config.json and the tokenizer's files; all of it or
 * nothing. An adapter is merged into the weights, and the weights are float32. Any program with ONNX Runtime runs the
 * model; the classes of transformers.js know encoders alone (BERT, RoBERTa, DistilBERT), so that OPT needs a session of
 * one's own.
 *
 * @throws {SetupError} when the Python cannot be started, or lacks a package: the message says how to install it
 * @throws {CheckpointError} when the model cannot be loaded, the output folder exists or cannot be written, or the
 * exporter fails
 * @throws {OptionError} for a language model or an adapter that cannot be merged, and when the weights are larger than
 * one file of ONNX can be, 2 GiB
 */
export async function exportOnnx(options: OnnxOptions): Promise<OnnxResult> {
  const { model, outputDir, python = Deno.env.get("FEWTUNE_PYTHON") || "python3" } = options;
  checkOutputFolder(outputDir);
  using classifier = await loadClassifier(model, { dtype: "float32" });
  checkExportable(classifier);
  mergeAdapter(classifier);
  const temporary = Deno.makeTempDirSync({ prefix: "fewtune-export-" });
  try {
    const file = join(temporary, "model.onnx");
    saveClassifier(classifier, join(temporary, "model"));
    await runScript(python, temporary, file);
    writeFolder(outputDir, (folder) => writeExported(classifier, model, file, folder));
    return { bytes: Deno.statSync(`${outputDir}/onnx/model.onnx`).size };
  } finally {
    Deno.removeSync(temporary, { recursive: true });
  }
}

function checkExportable({ model, target }: Classifier): void {
  if (target === "nextToken") throw new OptionError("a language model does not export: only classifiers do");
  const bytes = parameterBytes(model);
  if (bytes <= mostBytes) return;
  throw new OptionError(
    `the weights are ${(bytes / 2 ** 30).toFixed(1)} GiB, one file of ONNX holds 2: export a smaller model`,
  );
}

async function runScript(python: string, folder: string, file: string): Promise<void> {
  const path = join(folder, "to_onnx.py");
  writeText(path, script);
  const finished = await runIfPresent(python, [path, join(folder, "model"), file], { timeout: 60 * minutes });
  if (finished === null) {
    await requireRunnable(python);
    throw new SetupError(`${python} cannot be started: name a Python by --python or FEWTUNE_PYTHON`);
  }
  const { code, lines, timedOut } = finished;
  if (code === 0) return;
  const missing = lines.find((line) => line.startsWith("MISSING "))?.slice("MISSING ".length);
  if (missing) {
    throw new SetupError(
      `${python} lacks what the export needs: ${python} -m pip install ${missing}, or name another Python by --python`,
    );
  }
  const reason = timedOut ? `it was not done after ${minutes} minutes` : lines.at(-1) ?? `exit code ${code}`;
  throw new CheckpointError(`the export by ${python} failed: ${reason}`);
}

function writeExported(classifier: Classifier, model: string, file: string, folder: string): void {
  Deno.mkdirSync(`${folder}/onnx`);
  Deno.copyFileSync(file, `${folder}/onnx/model.onnx`);
  copyTokenizer(classifier.folder, folder);
  copyTokenizer(model, folder);
  completeTokenizer(folder, classifier);
  writeText(`${folder}/config.json`, JSON.stringify(standardConfig(classifier), null, 2) + "\n");
}
