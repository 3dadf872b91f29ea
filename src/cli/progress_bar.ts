// One line that tells how far a run is: what it is made of, without where it goes.

import type { StepEvent } from "../train/events.ts";
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

/** Turns steps into lines. */
export class StepLine {
  readonly #loss = new Smoothed();
  readonly #tokensPerSecond = new Smoothed();
  readonly #milliseconds = new Smoothed();

  /** Takes the next step in. */
  add({ loss, tokens, milliseconds }: StepEvent): void {
    this.#loss.add(loss);
    this.#tokensPerSecond.add(1000 * tokens / milliseconds);
    this.#milliseconds.add(milliseconds);
  }

  /** The line after `event`, which {@linkcode StepLine.add} has taken in. */
  text({ step, totalSteps, liveBytes, peakBytes }: StepEvent): string {
    return [
      `step ${step}/${totalSteps}`,
      `loss ${this.#loss.value.toFixed(4)}`,
      `${Math.round(this.#tokensPerSecond.value).toLocaleString("en")} tokens/s`,
      `live ${mebibytes(liveBytes)}`,
      `peak ${mebibytes(peakBytes)}`,
      step < totalSteps ? `${clock((totalSteps - step) * this.#milliseconds.value)} left` : "",
    ].filter((part) => part !== "").join("  ");
  }
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
