// What a run's files tell of it: its events, with the steps between two lines taken together.

import type { StepEvent, TrainEvent } from "../events.ts";

/** What is logged: a line of metrics.jsonl. */
export type LogRecord = StepRecord | (Exclude<TrainEvent, StepEvent> & { readonly time: string });

/**
 * A step, with those after the last one that was logged: the loss is the mean over them, tokens and milliseconds are in
 * all of them, the rest is the last one's.
 */
export interface StepRecord extends StepEvent {
  readonly tokensPerSecond: number;
  /** When it was done, as ISO 8601 in UTC. */
  readonly time: string;
}

/** Collects steps until one is to be logged. */
export class StepWindow {
  #steps: StepEvent[] = [];

  /** Takes the next step in. */
  add(step: StepEvent): void {
    this.#steps.push(step);
  }

  /** The steps since the last call as one; null when there was none. */
  take(): StepRecord | null {
    const steps = this.#steps;
    const last = steps.at(-1);
    if (last === undefined) return null;
    this.#steps = [];
    const sum = (of: (step: StepEvent) => number): number => steps.reduce((total, step) => total + of(step), 0);
    const [tokens, milliseconds] = [sum((step) => step.tokens), sum((step) => step.milliseconds)];
    const { step, totalSteps, epoch, learningRate, gradientNorm, liveBytes, peakBytes } = last;
    return {
      ...{ type: "step", step, totalSteps, epoch, loss: sum(({ loss }) => loss) / steps.length },
      ...{ learningRate, gradientNorm, tokens, tokensPerSecond: 1000 * tokens / milliseconds, milliseconds },
      ...{ liveBytes, peakBytes, time: now() },
    };
  }
}

/** The time, as ISO 8601 in UTC. */
export function now(): string {
  return new Date().toISOString();
}
