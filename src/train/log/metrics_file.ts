// metrics.jsonl: a line of JSON for each event of a run that is logged.

import { DataError } from "../../errors.ts";
import { AppendFile } from "../../files/append_file.ts";
import { isObject } from "../../files/json_text.ts";
import { replaceFile } from "../../files/output_file.ts";
import { isFile } from "../../files/presence.ts";
import { reasonOf } from "../../files/shown.ts";
import type { LogRecord } from "./record.ts";
import type { LogSink, LogStart } from "./sink.ts";

/** The name of the file in a run's folder. */
export const metricsFileName = "metrics.jsonl";

/** Writes metrics.jsonl. A process that is killed loses at most the last line. */
export class MetricsFile implements LogSink {
  readonly name = metricsFileName;
  readonly #path: string;
  readonly #start: LogStart;
  readonly #file: AppendFile;
  #isCut = false;

  constructor(path: string, start: LogStart) {
    this.#path = path;
    this.#start = start;
    this.#file = new AppendFile(path);
  }

  readonly write = (record: LogRecord): void => {
    if (!this.#isCut) cutMetrics(this.#path, this.#start);
    this.#isCut = true;
    this.#file.append(new TextEncoder().encode(JSON.stringify(record) + "\n"));
  };

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** A line as it was written; what is not a finite number there is null. */
export interface MetricsLine {
  readonly type: string;
  readonly step: number;
  readonly [field: string]: unknown;
}

/**
 * The lines of a metrics.jsonl. A last one without its end, which a killed process or one at work leaves, is none.
 *
 * @throws {DataError} when the file cannot be read, or another line is no object with a type and a step
 */
export function readMetrics(path: string): MetricsLine[] {
  return wholeLines(path).map((line, index) => parsed(line) ?? refuse(path, index));
}

/**
 * Takes out of a metrics.jsonl, where there is one, what is later than the start that its run goes on from, and a torn
 * last line. The file is replaced at once or stays as it was.
 *
 * @throws {DataError} as {@linkcode readMetrics}, and when the file cannot be replaced
 */
export function cutMetrics(path: string, { step, evaluation }: LogStart): void {
  if (!isFile(path)) return;
  const kept = wholeLines(path).filter((line, index) => {
    const event = parsed(line) ?? refuse(path, index);
    return step > 0 && event.step <= (event.type === "evaluation" ? evaluation?.step ?? 0 : step);
  });
  try {
    replaceFile(path, kept.map((line) => line + "\n").join(""));
  } catch (cause) {
    throw new DataError(`${path} cannot be written (${reasonOf(cause)})`, { cause });
  }
}

function wholeLines(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n").slice(0, -1);
  } catch (cause) {
    throw new DataError(`${path} cannot be read (${reasonOf(cause)})`, { cause });
  }
}

function parsed(line: string): MetricsLine | null {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) && typeof value["type"] === "string" && Number.isInteger(value["step"])
      ? value as MetricsLine
      : null;
  } catch {
    return null;
  }
}

function refuse(path: string, index: number): never {
  throw new DataError(`${path}: line ${index + 1} is no event of a run: no object with a type and a step`);
}
