// One training step taken apart: the time and memory of its phases, what the bytes are for, and where the peak is.

import { OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { median } from "../metrics/median.ts";
import { usedDeviceBytes } from "../native/cuda_memory.ts";
import { initialize } from "../native/load.ts";
import { describeMachine } from "../native/machine.ts";
import type { OnProgress } from "../native/progress.ts";
import { namedParameters, parameterBytes } from "../nn/module.ts";
import type { ActivationMode } from "../selective/gradients.ts";
import type { SelectionSize } from "../selective/positions.ts";
import { type Device, empty, memory, resetPeakMemory, scope, synchronize, threads } from "../torch/mod.ts";
import type { AdamWOptions } from "./adamw.ts";
import { type Method, selectionSize } from "./fine_tune.ts";
import { nextTask } from "./next_task.ts";
import { measureMemory, type StepMemory } from "./profile_memory.ts";
import { type Piece, ProfiledStep, type StepPhase, type StepSettings } from "./profiled_step.ts";
import { checkTrainOptions } from "./train.ts";
import type { PeakProfile, PhaseProfile, PieceProfile, ProfileSettings, StepProfile } from "./step_profile.ts";
import { versions } from "./training_record.ts";

/** Which training step is profiled, and how often. */
export interface ProfileOptions extends AdamWOptions {
  /** Tokens of each sequence of the batch. */
  readonly lengths: readonly number[];
  /** Default `selective`. */
  readonly method?: Method;
  /** Positions of each sequence that carry gradients, with the selective method. Default 16. */
  readonly k?: SelectionSize | undefined;
  /** Default `store`. */
  readonly activations?: ActivationMode;
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
  make: (where: { readonly device: Device }) => Classifier | Promise<Classifier>,
  options: ProfileOptions,
): Promise<StepProfile> {
  const { method = "selective", activations = "store", optimizerInBackward = false, steps = 5, seed = 0 } = options;
  const { device = "cpu", lengths } = options;
  const k = selectionSize({ method, k: options.k });
  checkTrainOptions({ k, activations, seed, maxSteps: steps });
  const machine = await describeMachine();
  const [context, made] = [await measureContext(options, device), await measureMaking(make, device)];
  using classifier = made.classifier;
  const { model } = classifier;
  checkLengths(lengths, model.backbone.maxPositions);
  const settings = { ...options, k, activations, optimizerInBackward, steps, seed };
  const { stepMemory, optimizerBytes, times } = await measureSteps(classifier, settings, made.outsideBytes);
  const timeline = stepMemory.pieces.map((piece, index) => ({
    ...piece,
    ms: median(times.map((step) => step[index] ?? NaN)),
  }));
  const peak = peakOf(timeline, model.backbone.layers.length);
  const trainable = namedParameters(model).values().filter(({ requiresGrad }) => requiresGrad);
  return {
    settings: describeSettings(classifier, { ...settings, method, device }),
    trainableParameters: sum(trainable.map(({ size }) => size).toArray()),
    weightsBytes: parameterBytes(model),
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

function describeSettings(
  { model: { backbone }, architecture }: Classifier,
  options:
    & Omit<ProfileSettings, "model" | "layers" | "batchSize" | "tokens" | "optimizer" | "precision" | "threads">
    & {
      readonly modelName?: string;
    },
): ProfileSettings {
  const { lengths, method, k, activations, optimizerInBackward, steps, seed, device } = options;
  return {
    model: options.modelName ?? architecture.modelType,
    layers: backbone.layers.length,
    batchSize: lengths.length,
    lengths,
    tokens: sum(lengths),
    method,
    k,
    activations,
    optimizer: "adamw",
    optimizerInBackward,
    precision: backbone.dtype,
    steps,
    seed,
    threads: threads(),
    device,
  };
}

const stepPhases: readonly StepPhase[] = [
  "batch",
  "forwardWithoutGrad",
  "forwardWithGrad",
  "backward",
  "optimizerStep",
];

async function measureContext({ onSetup, ...options }: ProfileOptions, device: Device): Promise<PhaseProfile> {
  const started = performance.now();
  await initialize({ device, ...(onSetup && { onProgress: onSetup }) });
  threads(options.threads);
  if (device !== "cpu") scope(() => empty([1], { device }));
  const bytes = contextBytes(device);
  return { phase: "context", ms: performance.now() - started, addedBytes: bytes, peakBytes: bytes };
}

function contextBytes(device: Device): number {
  if (device === "cpu") return Deno.memoryUsage().rss;
  return usedDeviceBytes(Number(device.split(":")[1] ?? 0)) - memory(device).reservedBytes;
}

interface Made {
  readonly classifier: Classifier;
  readonly weights: PhaseProfile;
  /** Live before: not counted. */
  readonly outsideBytes: number;
}

async function measureMaking(make: Parameters<typeof profileStep>[0], device: Device): Promise<Made> {
  resetPeakMemory(device);
  const [started, { liveBytes: outsideBytes }] = [performance.now(), memory(device)];
  const classifier = await make({ device });
  synchronize(device);
  const { liveBytes, peakBytes } = memory(device);
  const weights = {
    phase: "weights",
    ms: performance.now() - started,
    addedBytes: liveBytes - outsideBytes,
    peakBytes: peakBytes - outsideBytes,
  } as const;
  return { classifier, weights, outsideBytes };
}

interface Measured {
  readonly stepMemory: StepMemory;
  readonly optimizerBytes: number;
  /** For each timed step the milliseconds of its pieces. */
  readonly times: readonly (readonly number[])[];
}

async function measureSteps(
  classifier: Classifier,
  settings: StepSettings & Pick<ProfileOptions, "onStep"> & { readonly steps: number },
  outsideBytes: number,
): Promise<Measured> {
  const { steps, onStep } = settings;
  using step = new ProfiledStep(classifier, settings);
  const told = async (done: number): Promise<void> => {
    onStep?.(done, steps + 2);
    await nextTask();
  };
  step.run(() => {});
  await told(1);
  const stepMemory = measureMemory(step, classifier, outsideBytes);
  await told(2);
  const times: number[][] = [];
  while (times.length < steps) {
    times.push(timesOfPieces(step, classifier.model.backbone.device));
    await told(times.length + 2);
  }
  return { stepMemory, optimizerBytes: step.optimizer.stateBytes, times };
}

function timesOfPieces(step: ProfiledStep, device: Device): number[] {
  const times: number[] = [];
  let last = performance.now();
  step.run(() => {
    synchronize(device);
    const now = performance.now();
    times.push(now - last);
    last = now;
  });
  return times;
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

function inWords({ phase, layer }: Piece, layers: number): string {
  if (phase === "batch") return "packing the batch";
  const [what, at] = {
    forwardWithoutGrad: ["forward without gradients", "through"],
    forwardWithGrad: ["forward with gradients", "through"],
    backward: ["backward", "through"],
    optimizerStep: ["the optimizer's step", "for"],
  }[phase];
  if (layer === null) return `${what}`;
  const part = layer < 0 ? "the embeddings" : layer === layers ? "the head" : `layer ${layer + 1} of ${layers}`;
  return `${what} ${at} ${part}`;
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
