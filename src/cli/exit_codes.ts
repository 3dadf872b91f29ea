// How the process ends: its exit code, and the one line on standard error that says why.

import { CommanderError } from "npm:@commander-js/extra-typings@15.1.0";
import { FewtuneError, OptionError } from "../errors.ts";
import { InterruptedError } from "./interrupt.ts";
import { missingPermission } from "./missing_permission.ts";
import { hasColors, red } from "./terminal.ts";

const failed = 1;
const misused = 2;

/** Every exit code and what it means, as the help lists them. */
export const exitCodes: readonly (readonly [code: number, meaning: string])[] = [
  [0, "it is done"],
  [failed, "it failed, or a run of a sweep did, or doctor found something missing"],
  [misused, "the command line cannot be understood, or an option has a value that cannot be"],
  [130, "Ctrl-C (SIGINT) stopped it"],
  [143, "SIGTERM stopped it"],
];

/** Says on standard error what went wrong, and returns the exit code. */
export function report(error: unknown, verbose: boolean): number {
  // Who reads the output, such as `head`, may stop when it has enough.
  if (error instanceof Deno.errors.BrokenPipe) return 0;
  if (error instanceof CommanderError) return reportUsage(error);
  if (verbose) console.error(error);
  else complain(messageOf(error));
  if (error instanceof InterruptedError) return error.exitCode;
  return error instanceof OptionError ? misused : failed;
}

// Commander has printed the help that was asked for, or that is shown where a command is missing.
function reportUsage({ code, exitCode, message }: CommanderError): number {
  if (exitCode === 0) return 0;
  if (code !== "commander.help") complain(oneLine(message.replace(/^error: /, "")));
  return misused;
}

function messageOf(error: unknown): string {
  const permission = missingPermission(error);
  if (permission !== null) return permission;
  const message = oneLine(error instanceof Error ? error.message || error.name : String(error));
  return error instanceof FewtuneError ? message : `${message} (--verbose shows where)`;
}

function oneLine(message: string): string {
  return message.replaceAll(/\s*\n\s*/g, " ").trim();
}

function complain(line: string): void {
  console.error(`${hasColors(Deno.stderr) ? red("fewtune:") : "fewtune:"} ${line}`);
}
