// How the process ends: its exit code, and the one line on standard error that says why.

import { CommanderError } from "npm:@commander-js/extra-typings@15.1.0";
import { FewtuneError, OptionError } from "../errors.ts";
import { InterruptedError } from "./interrupt.ts";

const failed = 1;
const misused = 2;

/** Says on standard error what went wrong, and returns the exit code. */
export function report(error: unknown, verbose: boolean): number {
  // Who reads the output, such as `head`, may stop when it has enough.
  if (error instanceof Deno.errors.BrokenPipe) return 0;
  if (error instanceof CommanderError) return reportUsage(error);
  if (verbose) console.error(error);
  else console.error(`fewtune: ${oneLine(error)}${error instanceof FewtuneError ? "" : " (--verbose shows where)"}`);
  if (error instanceof InterruptedError) return error.exitCode;
  return error instanceof OptionError ? misused : failed;
}

// Commander has printed the help that was asked for, or that is shown where a command is missing.
function reportUsage({ code, exitCode, message }: CommanderError): number {
  if (exitCode === 0) return 0;
  if (code !== "commander.help") {
    console.error(`fewtune: ${message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ")}`);
  }
  return misused;
}

function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return message.replaceAll(/\s*\n\s*/g, " ").trim();
}
