// A process that makes one training step for each line on its standard input, and says what it took.

import { createInterface } from "node:readline";
import { spawn } from "node:child_process";

/** What a step took: seconds and bytes. */
export interface MeasuredStep {
  readonly forward: number;
  readonly backward: number;
  readonly optimizer: number;
  /** Live when the step begins: weights and, from the second step on, the optimizer's state. */
  readonly restingBytes: number;
  /** Added by the forward pass and live at its end. */
  readonly activationBytes: number;
  /** The most that was live in the step. */
  readonly peakBytes: number;
}

/** A running process that makes steps when asked. */
export interface Stepper {
  readonly step: () => Promise<MeasuredStep>;
  /** The most memory that the process has had from the system until now. */
  readonly residentBytes: () => number;
  readonly stop: () => Promise<void>;
}

/** Starts a process that prints a {@linkcode MeasuredStep} as JSON for each line that it reads. */
export function startStepper(command: string, args: readonly string[]): Stepper {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const step = async (): Promise<MeasuredStep> => {
    child.stdin.write("\n");
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ${args.join(" ")} ended`);
    return JSON.parse(value) as MeasuredStep;
  };
  const stop = (): Promise<void> => {
    child.stdin.end();
    return exited;
  };
  const residentBytes = (): number => {
    const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) * 1024;
  };
  return { step, residentBytes, stop };
}

/** The whole step's seconds. */
export function secondsOf({ forward, backward, optimizer }: MeasuredStep): number {
  return forward + backward + optimizer;
}
