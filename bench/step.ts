// Time and memory of a training step: Fewtune's ways and their peers, step by step in turn.

import { totalmem } from "node:os";
import { parseArgs } from "node:util";
import { type ContestantName, contestantNames, contestants, inOrder, start, titleOf } from "./contestants.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import { modelName, modelSizes } from "./model_sizes.ts";
import { count, lengthsOption } from "./options.ts";
import { packageVersions, peerPackages } from "./python.ts";
import {
  type ContestantResult,
  describeOrigin,
  median,
  type StepResult,
  type StepSettings,
  writeResult,
} from "./results.ts";
import { type MeasuredStep, secondsOf, type Stepper } from "./stepper.ts";

type Step = MeasuredStep & { readonly seconds: number; readonly relativeTime: number };

/** Who takes part, and how. */
export interface Participants {
  /** The times of all are given relative to the first one's, which is taken for the one that needs the most memory. */
  readonly names: readonly ContestantName[];
  readonly python: string | undefined;
  /** Of the machine's memory, what the processes that live at the same time may have. */
  readonly memoryBytes: number;
}

interface Contestant {
  readonly name: ContestantName;
  readonly stepper: Stepper;
}

type Round = readonly (readonly [name: ContestantName, step: MeasuredStep])[];

/**
 * Measures in rounds of one step of each contestant, so that a slower spell of the machine hits all of them. When their
 * processes do not fit into memory together, they are measured in groups, and the first one takes part in each.
 */
export async function measure(settings: StepSettings, participants: Participants): Promise<StepResult> {
  const { names: [reference, ...waiting], python } = participants;
  if (reference === undefined) throw new Error("nobody takes part");
  const steps = new Map(participants.names.map((name) => [name, [] as Step[]]));
  do {
    for (const round of await measureGroup(reference, waiting, settings, participants)) {
      const seconds = round.map(([, step]) => secondsOf(step));
      round.forEach(([name, step], index) => {
        const own = seconds[index] ?? NaN;
        steps.get(name)?.push({ ...step, seconds: own, relativeTime: own / (seconds[0] ?? NaN) });
      });
    }
  } while (waiting.length > 0);
  return {
    ...await describeOrigin(python === undefined ? {} : await packageVersions(python, peerPackages)),
    settings,
    reference,
    contestants: [...steps].map(([name, measured]) => summarize(name, measured)),
  };
}

// Takes from those who wait as many as fit into memory.
async function measureGroup(
  reference: ContestantName,
  waiting: ContestantName[],
  settings: StepSettings,
  { python, memoryBytes }: Participants,
): Promise<Round[]> {
  const work = { ...settings, size: modelSizes[settings.model] };
  const group: Contestant[] = [];
  // The first step makes the optimizer's state and is not counted.
  const join = async (name: ContestantName): Promise<void> => {
    const stepper = start(name, work, python);
    group.push({ name, stepper });
    await stepper.step();
  };
  try {
    await join(reference);
    const most = residentBytes(group);
    while (waiting.length > 0 && (group.length === 1 || residentBytes(group) + most <= memoryBytes)) {
      await join(waiting.shift() ?? reference);
    }
    return await playRounds(group, settings.steps);
  } finally {
    await Promise.all(group.map(({ stepper }) => stepper.stop()));
  }
}

async function playRounds(group: readonly Contestant[], count: number): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let number = 1; number <= count; number++) {
    const round: [ContestantName, MeasuredStep][] = [];
    for (const { name, stepper } of group) round.push([name, await stepper.step()]);
    rounds.push(round);
    console.error(`${group.map(({ name }) => name).join(", ")}: round ${number} of ${count}`);
  }
  return rounds;
}

function residentBytes(group: readonly Contestant[]): number {
  return group.reduce((sum, { stepper }) => sum + stepper.residentBytes(), 0);
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

// The contestants of an earlier run with the same settings stay, the reference too; others that were measured again are
// replaced. Each one's time is relative to the reference in its own group.
function addedTo(path: string, result: StepResult): StepResult {
  const earlier = JSON.parse(Deno.readTextFileSync(path)) as StepResult;
  if (JSON.stringify(earlier.settings) !== JSON.stringify(result.settings)) {
    throw new Error(`${path} has other settings: ${JSON.stringify(earlier.settings)}`);
  }
  const added = result.contestants.filter(({ name }) => name !== result.reference);
  const measured = new Map([...earlier.contestants, ...added].map((each) => [each.name, each]));
  return { ...result, contestants: inOrder([...measured.values()]) };
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
      "memory-gib": { type: "string", default: `${Math.floor(0.8 * totalmem() / 2 ** 30)}` },
      json: { type: "string" },
      add: { type: "boolean", default: false },
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
    memoryBytes: count("memory-gib", values["memory-gib"]) * 2 ** 30,
  });
  console.log(stepTable(result));
  if (values.json !== undefined) writeResult(values.json, values.add ? addedTo(values.json, result) : result);
}
