// What a profile of a training step says: plain values, ready for JSON.

import type { Machine } from "../native/machine.ts";
import type { ActivationMode, Precision } from "../selective/gradients.ts";
import type { KeptStates } from "../selective/kept_states.ts";
import type { SelectionSize } from "../selective/positions.ts";
import type { Device } from "../torch/mod.ts";
import type { BytesByUse, PieceMemory } from "./profile_memory.ts";
import type { Piece, StepPhase } from "./pieces.ts";
import type { Versions } from "./training_record.ts";

/** The phases of the paper's table 1 (Simoulin et al. 2023), and `batch`. */
export type ProfilePhase = "context" | "weights" | StepPhase;

/** The time and memory of a phase. */
export interface PhaseProfile {
  readonly phase: ProfilePhase;
  /** The median over the timed steps; once measured for `context` (loading LibTorch) and `weights`. */
  readonly ms: number;
  /** Live at its end less live at its begin. Over the phases of a step they add up to 0. */
  readonly addedBytes: number;
  /** The most that was live in it, the model included; 0 when the step has no such phase. */
  readonly peakBytes: number;
}

/** A piece of a step's work, with its median time. */
export interface PieceProfile extends PieceMemory {
  readonly ms: number;
}

/** The fullest moment of a step; the bytes by use add up to `peakBytes`. */
export interface PeakProfile extends Piece, BytesByUse {
  readonly peakBytes: number;
  /** In words: `backward through layer 12 of 12`. */
  readonly where: string;
}

/** What was profiled, with all defaults filled in. */
export interface ProfileSettings {
  readonly model: string;
  readonly layers: number;
  readonly batchSize: number;
  readonly lengths: readonly number[];
  /** The sum of the lengths. */
  readonly tokens: number;
  /** As {@linkcode parseMethod} names it. */
  readonly method: string;
  readonly k: SelectionSize;
  /** With `auto`, what was chosen. */
  readonly activations: ActivationMode;
  /** Null unless activations are recomputed. */
  readonly keptStates: KeptStates | null;
  readonly optimizer: "adamw";
  readonly optimizerInBackward: boolean;
  readonly precision: Precision;
  /** Whether the device multiplies bfloat16 itself; where not, bf16 saves memory and no time. */
  readonly hasBfloat16Arithmetic: boolean;
  readonly steps: number;
  readonly seed: number;
  readonly threads: number;
  readonly device: Device;
}

/**
 * A profiled training step. Bytes are those of live tensors, on the CPU exactly what was asked for; what the peak is
 * made of, to the byte, stands in `peak`.
 */
export interface StepProfile {
  readonly settings: ProfileSettings;
  readonly trainableParameters: number;
  readonly weightsBytes: number;
  /** The most that were at the parameters at once. */
  readonly gradientBytes: number;
  readonly optimizerBytes: number;
  /** What the forward pass added that was live at its end. */
  readonly activationBytes: number;
  /** What was live at the peak and none of the above; on a GPU also what its allocator rounds up. */
  readonly workspaceBytes: number;
  /** The most that was live in a step after the first, which makes the optimizer's state. */
  readonly peakBytes: number;
  /** The median time of a step, in milliseconds. */
  readonly stepMs: number;
  readonly peak: PeakProfile;
  /**
   * Beside the bytes of tensors and in none of the sums, before the model was made: on the CPU the memory of this
   * process (Deno and LibTorch), on a GPU what of its memory is in use (by all processes) and no tensor.
   */
  readonly contextBytes: number;
  readonly phases: readonly PhaseProfile[];
  /** The step, piece by piece. */
  readonly timeline: readonly PieceProfile[];
  readonly versions: Versions;
  readonly machine: Machine;
}
