// What the live bytes of a training step are for, read at the end of each piece of its work.

import type { Classifier } from "../models/classifier.ts";
import { derivedOf } from "../models/derivations.ts";
import { namedParameters, parameterBytes } from "../nn/module.ts";
import { memory, resetPeakMemory, scope, sparseIndices, sparseValues, type Tensor } from "../torch/mod.ts";
import type { Piece } from "./pieces.ts";
import type { ProfiledStep } from "./profiled_step.ts";

/** Bytes by what they are for. */
export interface BytesByUse {
  readonly weightsBytes: number;
  readonly optimizerBytes: number;
  readonly gradientBytes: number;
  /** What else lives from one piece of work to another: inputs, kept hidden states, graphs, gradients on their way. */
  readonly activationBytes: number;
  /** What lives only inside a piece of work: its most live bytes without the other four. */
  readonly workspaceBytes: number;
}

/** A piece of work and its memory. The bytes by use are those of its fullest moment, and add up to `peakBytes`. */
export interface PieceMemory extends Piece, BytesByUse {
  /** Live at its end less live at its begin. */
  readonly addedBytes: number;
  /** Live at its end, the model included. */
  readonly liveBytes: number;
  /** The most that was live in it. */
  readonly peakBytes: number;
}

/** The memory of a step. */
export interface StepMemory {
  readonly pieces: readonly PieceMemory[];
  /** The most bytes of gradients that were at the parameters at once. */
  readonly gradientBytes: number;
  /** What the forward pass added that was live at its end. */
  readonly activationBytes: number;
}

// What is known at the end of a piece of work.
interface Reading {
  readonly liveBytes: number;
  /** The most since the reading before. */
  readonly peakBytes: number;
  readonly gradientBytes: number;
}

/**
 * Makes a step and reads the memory at the end of each piece.
 *
 * @param outsideBytes live before the model was made: not counted
 */
export function measureMemory(step: ProfiledStep, classifier: Classifier, outsideBytes: number): StepMemory {
  const { device } = classifier.model.backbone;
  const parameters = [...new Set([...namedParameters(classifier.model).values(), ...classifier.trained.values()])];
  const read = (): Reading => {
    const { liveBytes, peakBytes } = memory(device);
    resetPeakMemory(device);
    return {
      liveBytes: liveBytes - outsideBytes,
      peakBytes: peakBytes - outsideBytes,
      gradientBytes: gradientBytes(parameters),
    };
  };
  resetPeakMemory(device);
  const [resting, weightsBytes, optimizerBytes] = [read(), weightsBytesOf(classifier), step.optimizerBytes];
  const activationBytes = (at: Reading): number => at.liveBytes - resting.liveBytes - at.gradientBytes;
  const pieces: PieceMemory[] = [];
  let [before, forwardEnd, mostGradients] = [resting, resting, 0];
  step.run((piece) => {
    const after = read();
    const fuller = after.liveBytes > before.liveBytes ? after : before;
    const uses = {
      weightsBytes,
      optimizerBytes,
      gradientBytes: fuller.gradientBytes,
      activationBytes: activationBytes(fuller),
    };
    const accounted = Object.values(uses).reduce((sum, bytes) => sum + bytes);
    pieces.push({
      ...piece,
      addedBytes: after.liveBytes - before.liveBytes,
      liveBytes: after.liveBytes,
      peakBytes: after.peakBytes,
      ...uses,
      workspaceBytes: after.peakBytes - accounted,
    });
    if (piece.phase === "forwardWithGrad") forwardEnd = after;
    mostGradients = Math.max(mostGradients, after.gradientBytes);
    before = after;
  });
  return { pieces, gradientBytes: mostGradients, activationBytes: activationBytes(forwardEnd) };
}

/** The bytes of a model's parameters, and of what some of them are computed from. */
export function weightsBytesOf({ model, adaptation }: Classifier): number {
  const others = derivedOf(adaptation?.insertions).map(({ module }) => parameterBytes(module));
  return others.reduce((sum, bytes) => sum + bytes, parameterBytes(model));
}

/** Bytes of the gradients at `parameters`; of a gradient in rows, its values and their indices. */
function gradientBytes(parameters: readonly Tensor[]): number {
  return scope(() =>
    parameters.reduce((sum, { grad }) => {
      if (grad === null) return sum;
      const tensors = grad.isSparse ? [sparseIndices(grad), sparseValues(grad)] : [grad];
      return sum + tensors.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
    }, 0)
  );
}
