// A run as lines of JSON on standard output: each event as it comes, and the result as the last line.

import type { FineTuneResult } from "../train/fine_tune.ts";
import { print } from "./output.ts";
import type { TrainingProgress } from "./training_progress.ts";

/** Prints each event, or none when quiet; a note for a person goes to standard error. */
export function printEvents(quiet: boolean): TrainingProgress {
  return {
    onEvent: quiet ? () => {} : (event) => print(JSON.stringify(event)),
    note: (line) => console.error(line),
    [Symbol.dispose]: () => {},
  };
}

/** Prints what came out of a run, and the folder that it was saved to. */
export function printResult(result: FineTuneResult, outputDir: string): void {
  print(JSON.stringify({ type: "result", ...result, outputDir }));
}
