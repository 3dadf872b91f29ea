// Where a run's records are written to.

import type { RunState } from "../run_state.ts";
import type { LogRecord } from "./record.ts";

/** Where a log begins: what it has from later steps, and from later evaluations, no longer holds. */
export type LogStart = Pick<RunState, "step" | "evaluation">;

/** The start of a new run. */
export const beginning: LogStart = { step: 0, evaluation: null };

/** Writes records somewhere. */
export interface LogSink extends Disposable {
  /** For a person: what is written. */
  readonly name: string;
  /** Writes a record, or throws and leaves no part of it. */
  readonly write: (record: LogRecord) => void;
}
