// TensorBoard's file of a run: its scalars over the steps.

import { join } from "node:path";
import { AppendFile } from "../../files/append_file.ts";
import type { LogRecord, StepRecord } from "./record.ts";
import type { LogSink, LogStart } from "./sink.ts";
import { scalarsEvent, sessionStart, versionEvent } from "./tensorboard_event.ts";
import { tfRecord } from "./tfrecord.ts";

/** Writes a new events.out.tfevents file into a run's folder. */
export class TensorBoardFile implements LogSink {
  readonly name = "TensorBoard's file";
  readonly #file: AppendFile;

  /** TensorBoard forgets what earlier files have from steps after the start. */
  constructor(folder: string, { step }: LogStart) {
    const seconds = nextTime(folder);
    const start = sessionStart({ seconds, step: step + 1 });
    this.#file = new AppendFile(
      join(folder, `${namePrefix}${seconds}.fewtune`),
      Uint8Array.from([...tfRecord(versionEvent(seconds)), ...tfRecord(start)]),
    );
  }

  readonly write = (record: LogRecord): void => {
    const scalars = scalarsOf(record);
    if (scalars === null) return;
    const time = { seconds: Date.parse(record.time) / 1000, step: record.step };
    this.#file.append(tfRecord(scalarsEvent(time, scalars)));
  };

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

const namePrefix = "events.out.tfevents.";

// TensorBoard reads a folder's files in the order of their names, which the time of their beginning gives.
function nextTime(folder: string): number {
  const times = [...Deno.readDirSync(folder)].flatMap(({ name }) =>
    name.startsWith(namePrefix) ? [parseInt(name.slice(namePrefix.length))] : []
  );
  return Math.max(Math.floor(Date.now() / 1000), ...times.filter(Number.isFinite).map((time) => time + 1));
}

function scalarsOf(record: LogRecord): Record<string, number> | null {
  if (record.type === "step") return stepScalars(record);
  if (record.type !== "evaluation") return null;
  return Object.fromEntries(Object.entries(record.metrics).map(([name, value]) => [`eval/${name}`, value]));
}

function stepScalars(step: StepRecord): Record<string, number> {
  return {
    "train/loss": step.loss,
    "train/learning_rate": step.learningRate,
    ...(step.gradientNorm !== null && { "train/gradient_norm": step.gradientNorm }),
    "train/tokens_per_second": step.tokensPerSecond,
    "memory/live_mib": step.liveBytes / 2 ** 20,
    "memory/peak_mib": step.peakBytes / 2 ** 20,
  };
}
