// `fewtune predict --glue-submission`: GLUE's test files, predicted for GLUE's server.

import type { GlueSource } from "../train/glue_data.ts";
import { glueSubmission } from "../train/glue_submission.ts";
import { loadPredictor, type PredictorOptions } from "../train/predictor.ts";
import { print } from "./output.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** Predicts a task's test files into a folder, and prints the paths of the predictions. */
export async function submit(
  { folder, ...source }: GlueSource & { readonly folder: string },
  { model, batchSize, ...options }: PredictorOptions & { readonly model: string; readonly batchSize: number },
): Promise<void> {
  using progress = showTrainingProgress(false);
  const { onEvent: onProgress } = progress;
  using predictor = await loadPredictor(model, { ...options, onProgress });
  const paths = await glueSubmission(predictor, source, folder, {
    batchSize,
    onProgress,
    onNotice: (message) => onProgress({ type: "notice", step: 0, message }),
    onBatch: (path, done, total) => onProgress({ type: "progress", task: `predicting ${path}`, done, total }),
  });
  progress[Symbol.dispose]();
  paths.forEach(print);
}
