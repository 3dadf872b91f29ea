// One training step taken apart: the time and memory of its phases, what the bytes are for, and where the peak is.

import { OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { longestText } from "../models/preceding.ts";
import { median } from "../metrics/median.ts";
import { describeMachine } from "../native/machine.ts";
import type { OnProgress } from "../native/progress.ts";
import { applyMethod, checkMethod } from "../methods/apply.ts";
import type { MethodOptions } from "../methods/registry.ts";
import { checkValue } from "../options/check.ts";
import { wholeNumber } from "../options/values.ts";
import type { Precision } from "../selective/gradients.ts";
import type { ActivationPlan } from "../selective/peak_estimate.ts";
import type { SelectionSize } from "../selective/positions.ts";
import { type Device, hasBfloat16Arithmetic, threads } from "../torch/mod.ts";
import type { AdamWOptions } from "./adamw.ts";
import { selectionSize } from "./config/resolve.ts";
import { type MakeClassifier, measureContext, measureMaking, measureSteps } from "./profile_measure.ts";
import { weightsBytesOf } from "./profile_memory.ts";
import { type Piece, type StepPhase, stepPhases } from "./pieces.ts";
import { planOf } from "./step.ts";
import { checkTrainOptions, type TrainOptions } from "./train_options.ts";
import type { PeakProfile, PhaseProfile, PieceProfile, ProfileSettings, StepProfile } from "./step_profile.ts";
import { versions } from "./training_record.ts";

/** Which training step is profiled, and how often. */
export interface ProfileOptions extends AdamWOptions, MethodOptions {
  /** Tokens of each sequence of the batch. */
  readonly lengths: readonly number[];
  /** As {@linkcode parseMethod} reads it. Default `selective`. */
  readonly method?: string;
  /** Positions of each sequence that carry gradients, with the selective method. Default 16. */
  readonly k?: SelectionSize | undefined;
  /** See {@linkcode TrainOptions.activations}. Default `auto`. */
  readonly activations?: TrainOptions["activations"];
  /** See {@linkcode TrainOptions.memoryBudget}. */
  readonly memoryBudget?: number | undefined;
  /** See {@linkcode TrainOptions.precision}. Default `float32`. */
  readonly precision?: Precision | undefined;
  /** See {@linkcode TrainOptions.optimizerInBackward}. Default false. */
  readonly optimizerInBackward?: boolean;
  /** Steps whose time is measured. Default 5. */
  readonly steps?: number;
  /** Of the tokens, the positions and dropout. Default 0. */
  readonly seed?: number;
  readonly device?: Device;
  /** Threads on the CPU. Default: LibTorch's own choice. */
  readonly threads?: number | undefined;
  /** What the model is called in the result. Default: its `model_type`. */
  readonly modelName?: string;
  /** Told after each step how many are done, and of how many: two more than are timed. */
  readonly onStep?: (done: number, total: number) => void;
  /** Told when the shim has to be built first. */
  readonly onSetup?: OnProgress;
}

/**
 * Profiles a training step on a batch of random tokens: one step that makes the optimizer's state, one whose memory is
 * read at each piece of its work, and then those whose time is measured. The model is made, and freed at the end.
 *
 * Needs `--allow-sys` beside the usual permissions, to describe the machine.
 *
 * @param make makes the model, on the device that it is given
 * @throws {OptionError} when an option has a value that cannot be, or a sequence is too long for the model
 *
 * @example
 * ```ts ignore
 * const profile = await profileStep((where) => loadClassifier("minilm", where), { lengths: Array(32).fill(128) });
 * console.log(profile.peakBytes, profile.peak.where);
 * ```
 */
export async function profileStep(
  make: MakeClassifier,
  options: ProfileOptions,
): Promise<StepProfile> {
  const chosen = choose(options);
  const machine = await describeMachine();
  const context = await measureContext(chosen.device, options);
  const made = await measureMaking(make, chosen.device);
  using classifier = made.classifier;
  const { model } = classifier;
  applyMethod(classifier, chosen.method, options);
  checkLengths(chosen.lengths, longestText(model.backbone));
  const plan = planOf(classifier, chosen.lengths.toSorted((a, b) => b - a), chosen);
  const settings = { ...chosen, ...plan };
  const { stepMemory, optimizerBytes, trainableParameters, times } = await measureSteps(
    classifier,
    made.outsideBytes,
    settings,
  );
  const timeline = stepMemory.pieces.map((piece, index) => ({
    ...piece,
    ms: median(times.map((step) => step[index] ?? NaN)),
  }));
  const peak = peakOf(timeline, model.backbone.layers.length);
  return {
    settings: describeSettings(classifier, settings),
    trainableParameters,
    weightsBytes: weightsBytesOf(classifier),
    gradientBytes: stepMemory.gradientBytes,
    optimizerBytes,
    activationBytes: stepMemory.activationBytes,
    workspaceBytes: peak.workspaceBytes,
    peakBytes: peak.peakBytes,
    stepMs: median(times.map(sum)),
    peak,
    contextBytes: context.addedBytes,
    phases: [context, made.weights, ...stepPhases.map((phase) => phaseOf(phase, timeline, times))],
    timeline,
    versions: versions(),
    machine,
  };
}

// The options with their defaults.
interface Chosen extends ProfileOptions {
  readonly method: string;
  readonly k: SelectionSize;
  readonly precision: Precision;
  readonly optimizerInBackward: boolean;
  readonly steps: number;
  readonly seed: number;
  readonly device: Device;
}

function choose(options: ProfileOptions): Chosen {
  const { optimizerInBackward = false, precision = "float32", steps = 5, seed = 0, device = "cpu" } = options;
  const method = checkMethod(options.method ?? "selective", options);
  const k = selectionSize(method, options.k);
  checkTrainOptions({ ...options, k, seed });
  checkValue("steps", wholeNumber({ least: 1 }), steps);
  return { ...options, method: method.name, k, precision, optimizerInBackward, steps, seed, device };
}

function describeSettings(
  { model: { backbone }, architecture }: Classifier,
  options: Chosen & ActivationPlan,
): ProfileSettings {
  const { lengths, method, k, activations, keptStates, precision, optimizerInBackward, steps, seed, device } = options;
  return {
    model: options.modelName ?? architecture.modelType,
    layers: backbone.layers.length,
    batchSize: lengths.length,
    lengths,
    tokens: sum(lengths),
    method,
    k,
    activations,
    keptStates: activations === "recompute" ? keptStates : null,
    optimizer: "adamw",
    optimizerInBackward,
    precision,
    hasBfloat16Arithmetic: hasBfloat16Arithmetic(device),
    steps,
    seed,
    threads: threads(),
    device,
  };
}

function phaseOf(
  phase: StepPhase,
  timeline: readonly PieceProfile[],
  times: readonly (readonly number[])[],
): PhaseProfile {
  const pieces = timeline.filter((piece) => piece.phase === phase);
  return {
    phase,
    ms: median(times.map((step) => sum(step.filter((_, index) => timeline[index]?.phase === phase)))),
    addedBytes: sum(pieces.map(({ addedBytes }) => addedBytes)),
    peakBytes: Math.max(0, ...pieces.map(({ peakBytes }) => peakBytes)),
  };
}

function peakOf(timeline: readonly PieceProfile[], layers: number): PeakProfile {
  const fullest = timeline.reduce((most, piece) => piece.peakBytes > most.peakBytes ? piece : most);
  const { ms: _ms, addedBytes: _added, liveBytes: _live, ...peak } = fullest;
  return { ...peak, where: inWords(peak, layers) };
}

const phaseWords: Readonly<Record<StepPhase, string>> = {
  batch: "packing the batch",
  forwardWithoutGrad: "forward without gradients",
  forwardWithGrad: "forward with gradients",
  backward: "backward",
  optimizerStep: "the optimizer's step",
};

function inWords({ phase, layer }: Piece, layers: number): string {
  if (layer === null) return phaseWords[phase];
  const part = layer < 0 ? "the embeddings" : layer === layers ? "the head" : `layer ${layer + 1} of ${layers}`;
  return `${phaseWords[phase]} ${phase === "optimizerStep" ? "for" : "through"} ${part}`;
}

function checkLengths(lengths: readonly number[], maxPositions: number): void {
  if (lengths.length === 0) throw new OptionError("a batch needs at least one sequence: lengths are empty");
  const unfit = lengths.find((length) => !(Number.isInteger(length) && length >= 1 && length <= maxPositions));
  if (unfit === undefined) return;
  throw new OptionError(`a sequence has ${unfit} tokens, this model takes 1 to ${maxPositions}`);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
