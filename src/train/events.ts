// What a training run tells while it goes on.

import type { Evaluation } from "./best.ts";
import type { Metrics } from "./evaluate.ts";

/** What a training run tells while it goes on. */
export type TrainEvent = StepEvent | EvaluationEvent | NoticeEvent | CheckpointEvent | ResumeEvent;

/** A checkpoint was written: a folder that loads, and that the run can go on from. */
export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly folder: string;
}

/** The run goes on from a checkpoint; the next step is the one after `step`. */
export interface ResumeEvent {
  readonly type: "resume";
  readonly step: number;
  /** The last evaluation before that; null when there was none. */
  readonly evaluation: Evaluation | null;
  readonly folder: string;
}

/** The metrics on the dev data. */
export interface EvaluationEvent {
  readonly type: "evaluation";
  /** Steps done so far, here and in what follows. */
  readonly step: number;
  readonly metrics: Metrics;
  /** Whether no evaluation before was as good. */
  readonly isBest: boolean;
  readonly milliseconds: number;
}

/** Something that a person may not expect, and that is no error. */
export interface NoticeEvent {
  readonly type: "notice";
  readonly step: number;
  readonly message: string;
}

/** One optimizer step. */
export interface StepEvent {
  readonly type: "step";
  /** From 1. */
  readonly step: number;
  readonly totalSteps: number;
  readonly epoch: number;
  readonly loss: number;
  readonly learningRate: number;
  /**
   * The Euclidean norm of all gradients together, before they were clipped; null with the optimizer in backward, where
   * they never exist together.
   */
  readonly gradientNorm: number | null;
  /** Tokens of the batch, without padding: there is none. */
  readonly tokens: number;
  readonly milliseconds: number;
  /** Bytes in live tensors after the step, and the most since training began. */
  readonly liveBytes: number;
  readonly peakBytes: number;
}
