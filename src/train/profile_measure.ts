// Measures what a profile is made of: the context, making the model, and its steps.

import type { Classifier } from "../models/classifier.ts";
import { usedDeviceBytes } from "../native/cuda_memory.ts";
import { initialize } from "../native/load.ts";
import type { OnProgress } from "../native/progress.ts";
import { type Device, empty, memory, resetPeakMemory, scope, synchronize, threads } from "../torch/mod.ts";
import { nextTask } from "./next_task.ts";
import { measureMemory, type StepMemory } from "./profile_memory.ts";
import { ProfiledStep, type StepSettings } from "./profiled_step.ts";
import type { PhaseProfile } from "./step_profile.ts";

/** Makes the model that is profiled, on the device that it is given. */
export type MakeClassifier = (where: { readonly device: Device }) => Classifier | Promise<Classifier>;

/** Loads LibTorch, and says what there is before a model. */
export async function measureContext(
  device: Device,
  { onSetup, threads: count }: { readonly onSetup?: OnProgress; readonly threads?: number | undefined },
): Promise<PhaseProfile> {
  const started = performance.now();
  await initialize({ device, ...(onSetup && { onProgress: onSetup }) });
  threads(count);
  if (device !== "cpu") scope(() => empty([1], { device }));
  const bytes = contextBytes(device);
  return { phase: "context", ms: performance.now() - started, addedBytes: bytes, peakBytes: bytes };
}

function contextBytes(device: Device): number {
  if (device === "cpu") return Deno.memoryUsage().rss;
  return usedDeviceBytes(Number(device.split(":")[1] ?? 0)) - memory(device).reservedBytes;
}

/** A model, and what making it took. */
export interface Made {
  readonly classifier: Classifier;
  readonly weights: PhaseProfile;
  /** Live before: not counted. */
  readonly outsideBytes: number;
}

/** Makes the model. */
export async function measureMaking(make: MakeClassifier, device: Device): Promise<Made> {
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

/** What the steps took. */
export interface MeasuredSteps {
  readonly stepMemory: StepMemory;
  readonly optimizerBytes: number;
  readonly trainableParameters: number;
  /** For each timed step the milliseconds of its pieces. */
  readonly times: readonly (readonly number[])[];
}

/**
 * Makes a step for the optimizer's state, one whose memory is read, and `steps` whose time is measured: the reading then
 * costs no time that counts.
 *
 * @param outsideBytes live before the model was made: not counted
 */
export async function measureSteps(
  classifier: Classifier,
  outsideBytes: number,
  settings: StepSettings & {
    readonly steps: number;
    readonly onStep?: (done: number, total: number) => void;
  },
): Promise<MeasuredSteps> {
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
  const { optimizerBytes, trainableParameters } = step;
  return { stepMemory, optimizerBytes, trainableParameters, times };
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
