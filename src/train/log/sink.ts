// Where a run's records are written to.

import type { LogRecord } from "./record.ts";

/** Writes records somewhere. */
export interface LogSink extends Disposable {
  /** For a person: what is written. */
  readonly name: string;
  /** Writes a record, or throws and leaves no part of it. */
  readonly write: (record: LogRecord) => void;
}
