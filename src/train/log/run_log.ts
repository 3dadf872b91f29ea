// The files that a run's events are written to while it goes on: metrics.jsonl, and TensorBoard's.

import { join } from "node:path";
import { reasonOf } from "../../files/shown.ts";
import { checkGiven } from "../../options/check.ts";
import { runOptions } from "../config/options.ts";
import type { NoticeEvent, TrainEvent } from "../events.ts";
import { MetricsFile, metricsFileName } from "./metrics_file.ts";
import { type LogRecord, now, StepWindow } from "./record.ts";
import { beginning, type LogSink, type LogStart } from "./sink.ts";
import { TensorBoardFile } from "./tensorboard_file.ts";

/** What is logged of a run. */
export interface LogOptions {
  /** Steps are logged every so many, taken together; evaluations and notices always are. Default 1. */
  readonly logSteps?: number | undefined;
  /** Whether TensorBoard's files are written besides metrics.jsonl. Default true. */
  readonly tensorboard?: boolean | undefined;
}

/** How a run's log is opened. */
export interface OpenLogOptions extends LogOptions {
  /** Told what the log is told, once that is written. */
  readonly onEvent?: ((event: TrainEvent) => void) | undefined;
}

/** A run's files, open. */
export interface RunLog extends Disposable {
  /** Writes an event; what cannot be written is told by a notice, once for each file, and stops nothing. */
  readonly onEvent: (event: TrainEvent) => void;
}

/** Refuses what {@linkcode LogOptions} cannot be. Throws {@linkcode OptionError}. */
export function checkLogOptions({ logSteps, tensorboard }: LogOptions): void {
  checkGiven(runOptions, { logSteps, tensorboard });
}

/**
 * Opens the log in a run's folder, which has to exist. When the first event is that the run goes on from a checkpoint,
 * what the log has from later steps is taken out; otherwise it begins anew.
 */
export function openRunLog(folder: string, options: OpenLogOptions = {}): RunLog {
  const { logSteps = 1, tensorboard = true, onEvent } = options;
  let sinks: readonly LogSink[] | null = null;
  const steps = new StepWindow();
  const failed = new Set<LogSink>();

  const openSinks = (start: LogStart): LogSink[] => {
    const metrics = new MetricsFile(join(folder, metricsFileName), start);
    return tensorboard ? [metrics, new TensorBoardFile(folder, start)] : [metrics];
  };
  const write = (record: LogRecord): void => {
    for (const sink of sinks ?? []) {
      try {
        sink.write(record);
      } catch (error) {
        if (failed.has(sink)) continue;
        failed.add(sink);
        tell(noticeOf(sink, record.step, error));
      }
    }
  };
  const flush = (): void => {
    const record = steps.take();
    if (record !== null) write(record);
  };
  const tell = (event: TrainEvent): void => {
    sinks ??= openSinks(event.type === "resume" ? event : beginning);
    if (event.type !== "step") write({ ...event, time: now() });
    else {
      steps.add(event);
      if (event.step % logSteps === 0 || event.step === event.totalSteps) flush();
    }
    onEvent?.(event);
  };
  const close = (): void => {
    flush();
    for (const sink of sinks ?? []) sink[Symbol.dispose]();
  };
  return { onEvent: tell, [Symbol.dispose]: close };
}

function noticeOf({ name }: LogSink, step: number, error: unknown): NoticeEvent {
  const message = `${name} cannot be written (${reasonOf(error)}): training goes on, and so far its log lacks this`;
  return { type: "notice", step, message };
}
