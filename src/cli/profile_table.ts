// A profiled training step as tables for a person, at most 100 columns wide.

import type { BytesByUse } from "../train/profile_memory.ts";
import type { PhaseProfile, ProfilePhase, ProfileSettings, StepProfile } from "../train/step_profile.ts";
import { textTable } from "./text_table.ts";

const phaseNames: Readonly<Record<ProfilePhase, string>> = {
  context: "context *",
  weights: "weights",
  batch: "batch: choose positions, pack",
  forwardWithoutGrad: "forward without gradients",
  forwardWithGrad: "forward with gradients",
  backward: "backward",
  optimizerStep: "optimizer's step",
};

/** What was profiled, its phases, what the bytes are for, and where the peak is. */
export function profileTable(profile: StepProfile): string {
  const { settings, stepMs, peakBytes, peak, phases, activationBytes, trainableParameters } = profile;
  return [
    ...describe(settings),
    "",
    ...textTable(["phase", "ms", "added, MiB", "peak, MiB"], [
      ...phases.map(phaseRow),
      ["a step", milliseconds(stepMs), "", mebibytes(peakBytes)],
    ]),
    "",
    ...textTable(["bytes, MiB", "at the peak", "at most"], useRows(profile)),
    "",
    `peak: ${mebibytes(peakBytes)} MiB, in ${peak.where}`,
    `activations at the end of the forward pass: ${mebibytes(activationBytes)} MiB`,
    `trainable parameters: ${trainableParameters.toLocaleString("en-US")}`,
    "",
    `* not among the other bytes: ${contextNote(settings)}`,
  ].join("\n");
}

function describe(settings: ProfileSettings): string[] {
  const { model, layers, batchSize, lengths, tokens, method, k, activations, optimizerInBackward } = settings;
  const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
  const range = shortest === longest ? `${longest} tokens` : `${shortest} to ${longest} tokens`;
  const positions = k === "all" ? method : `${method}, k ${k}`;
  const update = optimizerInBackward ? "adamw in backward" : "adamw";
  return [
    `${model}, ${layers} layers; ${batchSize} sequences of ${range}, ${tokens.toLocaleString("en-US")} in all`,
    `${positions}; ${activations}; ${update}; ${settings.precision}; ${settings.device}, ` +
    `${counted(settings.threads, "thread")}; medians of ${counted(settings.steps, "step")}`,
    ...bfloat16Note(settings),
  ];
}

function phaseRow({ phase, ms, addedBytes, peakBytes }: PhaseProfile): string[] {
  const isOutside = phase === "context";
  return [phaseNames[phase], milliseconds(ms), mebibytes(addedBytes), isOutside ? "" : mebibytes(peakBytes)];
}

function useRows(profile: StepProfile): string[][] {
  const { peak } = profile;
  const row = (name: string, key: keyof BytesByUse, most: number): string[] => [
    name,
    mebibytes(peak[key]),
    mebibytes(most),
  ];
  const most = (key: keyof BytesByUse): number => Math.max(...profile.timeline.map((piece) => piece[key]));
  return [
    row("weights", "weightsBytes", profile.weightsBytes),
    row("optimizer state", "optimizerBytes", profile.optimizerBytes),
    row("gradients", "gradientBytes", profile.gradientBytes),
    row("activations", "activationBytes", most("activationBytes")),
    row("workspace", "workspaceBytes", most("workspaceBytes")),
    ["together", mebibytes(peak.peakBytes), ""],
  ];
}

function contextNote({ device }: ProfileSettings): string {
  return device === "cpu"
    ? "the memory of Deno and LibTorch before the model is made"
    : "what of the GPU's memory is in use, by any process, and no tensor";
}

function bfloat16Note({ precision, hasBfloat16Arithmetic, device }: ProfileSettings): string[] {
  if (precision !== "bf16") return [];
  if (!hasBfloat16Arithmetic) return ["bf16 is multiplied as float32 here: it saves memory and no time"];
  return [`bf16 is multiplied by the ${device === "cpu" ? "processor" : "GPU"} itself`];
}

function counted(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

function milliseconds(ms: number): string {
  return ms.toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
