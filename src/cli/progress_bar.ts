// One line that tells how far a run is: what it is made of, without where it goes.

import type { EvaluationEvent, StepEvent } from "../train/events.ts";
import { mebibytes } from "./output.ts";

/** A mean that follows its values: each new one weighs a tenth. */
class Smoothed {
  #sum = 0;
  #weight = 0;

  add(value: number): void {
    this.#sum = 0.9 * this.#sum + 0.1 * value;
    this.#weight = 0.9 * this.#weight + 0.1;
  }

  get value(): number {
    return this.#sum / this.#weight;
  }
}

/** Turns the steps of a run, or of what is left of it after a resume, into lines. */
export class StepLine {
  readonly #loss = new Smoothed();
  readonly #tokensPerSecond = new Smoothed();
  readonly #milliseconds = new Smoothed();
  #steps = 0;
  #evaluationMilliseconds = 0;

  /** Takes the next step in. */
  add({ loss, tokens, milliseconds }: StepEvent): void {
    this.#steps++;
    this.#loss.add(loss);
    this.#tokensPerSecond.add(1000 * tokens / milliseconds);
    this.#milliseconds.add(milliseconds);
  }

  /** Takes an evaluation in: more of them are to come, as often. */
  addEvaluation({ milliseconds }: EvaluationEvent): void {
    this.#evaluationMilliseconds += milliseconds;
  }

  /** The line after `event`, which {@linkcode StepLine.add} has taken in: as much as so many columns have room for. */
  text({ step, totalSteps, epoch, learningRate, liveBytes, peakBytes }: StepEvent, columns = Infinity): string {
    return fitted([
      { rank: 0, text: `step ${step}/${totalSteps}` },
      { rank: 6, text: `epoch ${epoch}` },
      { rank: 1, text: `loss ${this.#loss.value.toFixed(4)}` },
      { rank: 5, text: `rate ${learningRate.toExponential(1)}` },
      { rank: 3, text: `${Math.round(this.#tokensPerSecond.value).toLocaleString("en")} tokens/s` },
      { rank: 4, text: `live ${mebibytes(liveBytes)}` },
      { rank: 7, text: `peak ${mebibytes(peakBytes)}` },
      ...step < totalSteps ? [{ rank: 2, text: `${clock(this.#millisecondsLeft(totalSteps - step))} left` }] : [],
    ], columns);
  }

  #millisecondsLeft(steps: number): number {
    return steps * (this.#milliseconds.value + this.#evaluationMilliseconds / this.#steps);
  }
}

interface Part {
  /** The highest is left out first. */
  readonly rank: number;
  readonly text: string;
}

function fitted(parts: readonly Part[], columns: number): string {
  const line = parts.map(({ text }) => text).join("  ");
  if (line.length <= columns || parts.length === 1) return line;
  const last = Math.max(...parts.map(({ rank }) => rank));
  return fitted(parts.filter(({ rank }) => rank < last), columns);
}

const width = 16;

/** A bar of fixed width. */
export function bar(done: number, total: number): string {
  const filled = Math.floor(width * done / Math.max(1, total));
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** `1:05`, or `2:03:00` from an hour on. */
export function clock(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => index === 0 ? String(part) : String(part).padStart(2, "0")).join(":");
}
