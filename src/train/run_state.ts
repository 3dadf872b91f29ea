// How far a training run is: with the weights, the optimizer and the generators, all that decides what comes next.

import type { RandomState } from "../data/prng.ts";
import type { BestState, Evaluation } from "./best.ts";
import { type MeanLoss, noLoss } from "./divergence.ts";

/** A plain object that JSON holds. A run that starts with a saved one goes on where that was saved. */
export interface RunState extends BestState {
  /** Steps done. */
  step: number;
  /** The epoch of the last step, from 1. */
  epoch: number;
  /** Steps done in this epoch. */
  stepInEpoch: number;
  /** The generator of the order of examples, before this epoch's order was drawn. */
  order: RandomState;
  /** The last evaluation; null before the first. */
  evaluation: Evaluation | null;
  meanLoss: MeanLoss;
  /** Seconds of work so far, before this process's. */
  seconds: number;
  /** The highest bytes of live tensors so far, before this process's. */
  peakBytes: number;
}

/** The state of a run that has not begun. */
export function initialState(order: RandomState): RunState {
  return {
    ...{ step: 0, epoch: 1, stepInEpoch: 0, order },
    ...{ evaluation: null, best: null, sinceBest: 0, meanLoss: noLoss },
    ...{ seconds: 0, peakBytes: 0 },
  };
}
