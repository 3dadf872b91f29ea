// Folders of runs to report on: written by the log itself, from made-up events.

import { join } from "node:path";
import { openRunLog } from "../../src/train/log/run_log.ts";

/** What a made-up run has. */
export interface MadeUpRun {
  readonly steps: number;
  /** The number it is to reach. */
  readonly totalSteps?: number;
  /** Steps from one evaluation to the next; none without it. */
  readonly evalSteps?: number;
  /** What train_config.json says, where there is one. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The result in training.json, where the run is done. */
  readonly result?: Readonly<Record<string, unknown>>;
}

/** The loss of a made-up run after a step: what falls, with some noise. */
export function lossAt(step: number): number {
  return 1 / (1 + step / 100) + 0.1 * Math.sin(13 * step);
}

/** Writes a run's folder. */
export function writeRun(folder: string, { steps, totalSteps = steps, evalSteps, config, result }: MadeUpRun): void {
  Deno.mkdirSync(folder, { recursive: true });
  const write = (name: string, value: unknown): void =>
    Deno.writeTextFileSync(join(folder, name), JSON.stringify(value));
  if (config) write("train_config.json", config);
  using log = openRunLog(folder, { tensorboard: false });
  for (let step = 1; step <= steps; step++) {
    log.onEvent({
      ...{ type: "step", step, totalSteps, epoch: 1, loss: lossAt(step), learningRate: 5e-5 * (1 - step / totalSteps) },
      ...{ gradientNorm: 1 + step % 3, tokens: 640, milliseconds: 100 + step % 7 },
      ...{ liveBytes: 100 * 2 ** 20, peakBytes: 150 * 2 ** 20 },
    });
    if (evalSteps === undefined || step % evalSteps !== 0) continue;
    const metrics = { loss: 1 / step, accuracy: 1 - 1 / (step + 1), majority: 0.6 };
    log.onEvent({ type: "evaluation", step, metrics, isBest: true, milliseconds: 50 });
  }
  if (result) write("training.json", { versions: { fewtune: "0.1.0" }, options: config ?? {}, result });
}
