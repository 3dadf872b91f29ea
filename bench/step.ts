// Time and memory of a training step: Fewtune's ways and their peers, step by step in turn.

import { parseArgs } from "node:util";
import { type ContestantName, contestantNames, contestants, start, titleOf } from "./contestants.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import { modelName, modelSizes } from "./model_sizes.ts";
import { count, lengthsOption } from "./options.ts";
import { packageVersions, peerPackages } from "./python.ts";
import { type ContestantResult, describeOrigin, median, type StepResult, type StepSettings } from "./results.ts";
import { writeResult } from "./results.ts";
import { type MeasuredStep, secondsOf, type Stepper } from "./stepper.ts";

type Step = MeasuredStep & { readonly seconds: number; readonly relativeTime: number };

/** Who takes part, and how. */
export interface Participants {
  /** The times of all are given relative to the first one's. */
  readonly names: readonly ContestantName[];
  readonly python: string | undefined;
  /** Processes at a time: those of a group share the machine's memory. */
  readonly groupSize: number;
}

/**
 * Measures in rounds of one step of each contestant, so that a slower spell of the machine hits all of them. More of them
 * than fit into a group are measured in several, and the first one takes part in each.
 */
export async function measure(settings: StepSettings, participants: Participants): Promise<StepResult> {
  const { names, python, groupSize } = participants;
  const [reference, ...others] = names;
  if (reference === undefined) throw new Error("nobody takes part");
  const steps = new Map(names.map((name) => [name, [] as Step[]]));
  for (let first = 0; first === 0 || first < others.length; first += groupSize - 1) {
    const group = [reference, ...others.slice(first, first + groupSize - 1)];
    for (const round of await measureGroup(group, settings, python)) {
      const whole = round.map(([, step]) => secondsOf(step));
      round.forEach(([name, step], index) => {
        const seconds = whole[index] ?? NaN;
        steps.get(name)?.push({ ...step, seconds, relativeTime: seconds / (whole[0] ?? NaN) });
      });
    }
  }
  return {
    ...await describeOrigin(python === undefined ? {} : await packageVersions(python, peerPackages)),
    settings,
    reference,
    contestants: [...steps].map(([name, measured]) => summarize(name, measured)),
  };
}

type Round = readonly (readonly [name: ContestantName, step: MeasuredStep])[];

async function measureGroup(
  names: readonly ContestantName[],
  settings: StepSettings,
  python: string | undefined,
): Promise<Round[]> {
  const work = { ...settings, size: modelSizes[settings.model] };
  const steppers = names.map((name) => [name, start(name, work, python)] as const);
  try {
    // The first round makes the optimizers' states and is not counted.
    await playRound(steppers);
    const rounds: Round[] = [];
    for (let round = 1; round <= settings.steps; round++) {
      rounds.push(await playRound(steppers));
      console.error(`${names.join(", ")}: round ${round} of ${settings.steps}`);
    }
    return rounds;
  } finally {
    await Promise.all(steppers.map(([, { stop }]) => stop()));
  }
}

async function playRound(steppers: readonly (readonly [ContestantName, Stepper])[]): Promise<Round> {
  const round: [ContestantName, MeasuredStep][] = [];
  for (const [name, { step }] of steppers) round.push([name, await step()]);
  return round;
}

function summarize(name: ContestantName, steps: readonly Step[]): ContestantResult {
  const middle = (value: (step: Step) => number): number => Number(median(steps.map(value)).toFixed(4));
  return {
    name,
    activationBytes: Math.max(...steps.map((step) => step.activationBytes)),
    peakBytes: Math.max(...steps.map((step) => step.peakBytes)),
    restingBytes: Math.max(...steps.map((step) => step.restingBytes)),
    stepSeconds: middle((step) => step.seconds),
    parts: {
      forward: middle((step) => step.forward),
      backward: middle((step) => step.backward),
      optimizer: middle((step) => step.optimizer),
    },
    relativeTime: middle((step) => step.relativeTime),
  };
}

/** The result as a Markdown table. */
export function stepTable({ reference, contestants }: StepResult): string {
  return markdownTable(
    ["", "Activations, MiB", "Peak, MiB", "Step, s", "Forward", "Backward", "Optimizer", `To ${titleOf(reference)}`],
    contestants.map(({ name, activationBytes, peakBytes, stepSeconds, parts, relativeTime }) => [
      titleOf(name),
      mebibytes(activationBytes),
      mebibytes(peakBytes),
      ...[stepSeconds, parts.forward, parts.backward, parts.optimizer].map((seconds) => seconds.toFixed(2)),
      relativeTime.toFixed(2),
    ]),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: "bert-base" },
      "batch-size": { type: "string", default: "32" },
      lengths: { type: "string", default: "128" },
      k: { type: "string", default: "16" },
      steps: { type: "string", default: "5" },
      threads: { type: "string", default: "2" },
      python: { type: "string" },
      bf16: { type: "boolean", default: false },
      contestants: { type: "string" },
      "group-size": { type: "string", default: "6" },
      json: { type: "string" },
    },
  });
  const settings = {
    model: modelName(values.model),
    batchSize: count("batch-size", values["batch-size"]),
    lengths: lengthsOption(values.lengths),
    k: count("k", values.k),
    steps: count("steps", values.steps),
    threads: count("threads", values.threads),
  };
  const result = await measure(settings, {
    names: values.contestants === undefined
      ? contestants({ peers: values.python !== undefined, bf16: values.bf16 })
      : contestantNames(values.contestants),
    python: values.python,
    groupSize: Math.max(2, count("group-size", values["group-size"])),
  });
  console.log(stepTable(result));
  if (values.json !== undefined) writeResult(values.json, result);
}
