// Shows a fine-tuning run on standard error: a bar on a terminal, now and then a plain line elsewhere.

import type { DownloadEvent, UploadEvent } from "../hub/options.ts";
import type { EvaluationEvent, StepEvent } from "../train/events.ts";
import type { FineTuneEvent, ProgressEvent } from "../train/fine_tune.ts";
import { bar, StepLine } from "./progress_bar.ts";
import { isRewritable } from "./terminal.ts";

/** Shows the events that it is given until it is disposed. */
export interface TrainingProgress extends Disposable {
  readonly onEvent: (event: FineTuneEvent | UploadEvent) => void;
  /** Shows a line that stays. */
  readonly note: (line: string) => void;
}

/** Starts to show a run; when quiet, nothing is shown. */
export function showTrainingProgress(quiet: boolean): TrainingProgress {
  if (quiet) return { onEvent: () => {}, note: () => {}, [Symbol.dispose]: () => {} };
  const line = isRewritable(Deno.stderr) ? changingLine() : plainLines();
  const steps = stepTexts();
  const onEvent = (event: FineTuneEvent | UploadEvent): void => {
    if (event.type === "notice") line.note(event.message);
    else if (event.type === "resume") line.note(`going on after step ${event.step}`);
    else if (event.type === "progress") line.show(event.task, () => progressText(event), event.done, event.total);
    else if (event.type === "download" || event.type === "upload") {
      line.show(event.repository, () => transferText(event), event.done, event.total ?? Infinity);
    } else if (event.type === "evaluation") {
      steps.evaluated(event);
      line.note(evaluationText(event));
    } else if (event.type === "step") line.show("steps", steps.after(event), event.step, event.totalSteps);
  };
  return { onEvent, note: line.note, [Symbol.dispose]: line.end };
}

interface StepTexts {
  readonly after: (event: StepEvent) => (columns: number) => string;
  readonly evaluated: (event: EvaluationEvent) => void;
}

// Steps that do not follow on those before are another run's.
function stepTexts(): StepTexts {
  let line = new StepLine();
  let last = 0;
  return {
    after: (event) => {
      if (event.step !== last + 1) line = new StepLine();
      last = event.step;
      line.add(event);
      return (columns) => line.text(event, columns);
    },
    evaluated: (event) => line.addEvaluation(event),
  };
}

function progressText({ task, done, total }: ProgressEvent): string {
  return `${task}  ${done}/${total}`;
}

function transferText({ repository, path, done, total }: DownloadEvent | UploadEvent): string {
  const [unit, bytes] = (total ?? done) < 2 ** 20 ? ["KiB", 2 ** 10] as const : ["MiB", 2 ** 20] as const;
  const whole = total === null ? "" : `/${Math.ceil(total / bytes)}`;
  return `${repository}: ${path}  ${Math.ceil(done / bytes)}${whole} ${unit}`;
}

function evaluationText({ step, metrics }: EvaluationEvent): string {
  const shown = Object.entries(metrics).map(([name, value]) => `${name} ${value.toFixed(4)}`);
  return `after step ${step}: ${shown.join("  ")}`;
}

interface Line {
  /** Shows how far something is, by a text that fits into so many columns. */
  readonly show: (task: string, text: (columns: number) => string, done: number, total: number) => void;
  readonly note: (text: string) => void;
  readonly end: () => void;
}

const encoder = new TextEncoder();

function changingLine(): Line {
  let isOpen = false;
  const writeText = (text: string): void => void Deno.stderr.writeSync(encoder.encode(text));
  const end = (): void => {
    if (isOpen) writeText("\n");
    isOpen = false;
  };
  return {
    show: (_task, text, done, total) => {
      writeText(`\r\x1b[2K${withBar(done, total, text, Deno.consoleSize().columns - 1)}`);
      isOpen = true;
      if (done === total) end();
    },
    note: (text) => {
      writeText(`\r\x1b[2K${text}\n`);
      isOpen = false;
    },
    end,
  };
}

const fewestColumnsForBar = 60;

function withBar(done: number, total: number, text: (columns: number) => string, columns: number): string {
  const start = columns < fewestColumnsForBar ? "" : `${bar(done, total)}  `;
  return start + text(columns - start.length).slice(0, columns - start.length);
}

const pauseMilliseconds = 5000;

function plainLines(): Line {
  let last = { task: "", time: 0 };
  return {
    show: (task, text, done, total) => {
      const isSoon = performance.now() - last.time < pauseMilliseconds;
      if (task === last.task && isSoon && done < total) return;
      console.error(text(Infinity));
      last = { task, time: performance.now() };
    },
    note: (text) => console.error(text),
    end: () => {},
  };
}
