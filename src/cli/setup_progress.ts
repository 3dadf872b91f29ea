// Shows set-up steps on standard error: a spinner on a terminal, plain lines elsewhere.

import type { SetupEvent } from "../native/progress.ts";
import { isRewritable } from "./terminal.ts";

/** Shows the events it is given until it is disposed. */
export interface SetupProgress extends Disposable {
  readonly onProgress: (event: SetupEvent) => void;
}

/** Starts showing set-up steps on standard error. */
export function showSetupProgress(): SetupProgress {
  return isRewritable(Deno.stderr) ? spinner() : plainLines();
}

function plainLines(): SetupProgress {
  let started = performance.now();
  const onProgress = ({ step, status, detail }: SetupEvent): void => {
    if (status === "started") started = performance.now();
    const time = `${seconds(started)} s`.padStart(7);
    if (status === "started") console.error(`${step} ...`);
    else if (status === "running") console.error(`${time}  ${detail ?? ""}`);
    else console.error(`${time}  done: ${step}`);
  };
  return { onProgress, [Symbol.dispose]: () => {} };
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

function spinner(): SetupProgress {
  let current: { step: string; detail: string; started: number } | null = null;
  let frame = 0;
  const paint = (): void => {
    if (!current) return;
    const mark = frames[frame++ % frames.length];
    writeLine(`${mark} ${current.step}  ${seconds(current.started)} s  ${current.detail}`, "");
  };
  const timer = setInterval(paint, 100);
  const onProgress = ({ step, status, detail }: SetupEvent): void => {
    if (status === "started") current = { step, detail: "", started: performance.now() };
    else if (status === "running" && current) current.detail = detail ?? "";
    else if (status === "done") {
      writeLine(current ? `✓ ${step}  ${seconds(current.started)} s` : step, "\n");
      current = null;
    }
    paint();
  };
  const dispose = (): void => {
    clearInterval(timer);
    if (current) writeLine(`✗ ${current.step}  ${seconds(current.started)} s`, "\n");
  };
  return { onProgress, [Symbol.dispose]: dispose };
}

const encoder = new TextEncoder();

/** Writes over the line that the cursor is on; a line that ends in nothing is cut to the terminal's width. */
function writeLine(text: string, end: "" | "\n"): void {
  const shown = end === "" ? text.slice(0, Deno.consoleSize().columns - 1) : text;
  Deno.stderr.writeSync(encoder.encode(`\r\x1b[2K${shown}${end}`));
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0);
}
