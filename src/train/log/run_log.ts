// The files that a run's events are written to while it goes on: metrics.jsonl, and TensorBoard's.

import { join } from "node:path";
import { OptionError } from "../../errors.ts";
import { reasonOf } from "../../files/shown.ts";
import type { NoticeEvent, TrainEvent } from "../events.ts";
import type { RunState } from "../run_state.ts";
import { MetricsFile, metricsFileName } from "./metrics_file.ts";
import { type LogRecord, now, StepWindow } from "./record.ts";
import type { LogSink } from "./sink.ts";
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
  /** The state that a run goes on with; what the log has from later steps no longer holds. */
  readonly resumed?: Pick<RunState, "step" | "evaluation"> | undefined;
  /** Told what the log is told, once that is written. */
  readonly onEvent?: ((event: TrainEvent) => void) | undefined;
}

/** A run's files, open. */
export interface RunLog extends Disposable {
  /** Writes an event; what cannot be written is told by a notice, once for each file, and stops nothing. */
  readonly onEvent: (event: TrainEvent) => void;
}

/** Refuses what {@linkcode LogOptions} cannot be. Throws {@linkcode OptionError}. */
export function checkLogOptions({ logSteps = 1 }: LogOptions): void {
  if (!(Number.isInteger(logSteps) && logSteps >= 1)) {
    throw new OptionError(
      `the number of steps of a log's line is ${logSteps}, it has to be a whole number of at least 1`,
    );
  }
}

/** Opens the log in a run's folder, which has to exist; its metrics.jsonl has been cut when the run goes on. */
export function openRunLog(folder: string, options: OpenLogOptions = {}): RunLog {
  const { logSteps = 1, tensorboard = true, resumed, onEvent } = options;
  const sinks: LogSink[] = [new MetricsFile(join(folder, metricsFileName))];
  if (tensorboard) sinks.push(new TensorBoardFile(folder, resumed?.step));
  const steps = new StepWindow();
  const failed = new Set<LogSink>();

  const write = (record: LogRecord): void => {
    for (const sink of sinks) {
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
    if (event.type !== "step") write({ ...event, time: now() });
    else {
      steps.add(event);
      if (event.step % logSteps === 0 || event.step === event.totalSteps) flush();
    }
    onEvent?.(event);
  };
  const close = (): void => {
    flush();
    for (const sink of sinks) sink[Symbol.dispose]();
  };
  return { onEvent: tell, [Symbol.dispose]: close };
}

function noticeOf({ name }: LogSink, step: number, error: unknown): NoticeEvent {
  const message = `${name} cannot be written (${reasonOf(error)}): training goes on, and so far its log lacks this`;
  return { type: "notice", step, message };
}
