// The pieces that a training step's work is made of.

import type { Work } from "../selective/gradients.ts";

/** The kinds of work in a step; `batch` is choosing positions and packing. */
export const stepPhases = ["batch", "forwardWithoutGrad", "forwardWithGrad", "backward", "optimizerStep"] as const;

/** One of {@linkcode stepPhases}. */
export type StepPhase = typeof stepPhases[number];

/** A piece of a step's work. */
export interface Piece {
  readonly phase: StepPhase;
  /** Of the layer with this index, of the embeddings (-1), of the head (the number of layers), or of the model (null). */
  readonly layer: number | null;
}

/** Told of each piece as it ends. */
export type TellPiece = (piece: Piece) => void;

/** The phase of what the walk through the layers does. */
export const phaseOfWork: Readonly<Record<Work["kind"], StepPhase>> = {
  restForward: "forwardWithoutGrad",
  selectedForward: "forwardWithGrad",
  backward: "backward",
};
