// How memory and time of a step grow with the batch, the length of its sequences, k, and the depth of the model.

import { parseArgs } from "node:util";
import { contestantNames, start, type Work } from "./contestants.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import { type ModelName, modelName, type ModelSize, modelSizes } from "./model_sizes.ts";
import { count } from "./options.ts";
import { describeOrigin, median, type Origin, writeResult } from "./results.ts";
import { secondsOf } from "./stepper.ts";

/** The ways to train that are measured. */
export const ways = ["full", "store", "recompute", "lora"] as const;

/** One of them. */
export type Way = typeof ways[number];

/** What grows. */
export const axes = ["batchSize", "length", "k", "depth"] as const;

/** One of them. */
export type AxisName = typeof axes[number];

/** Memory and time of a step at one size of what grows. */
export interface GrowthPoint {
  readonly axis: AxisName;
  readonly value: number;
  readonly way: Way;
  readonly activationBytes: number;
  readonly peakBytes: number;
  /** The median. */
  readonly stepSeconds: number;
}

/** All points, and what they have in common. */
export interface GrowthResult extends Origin {
  readonly settings: { readonly model: ModelName; readonly steps: number; readonly threads: number };
  readonly points: readonly GrowthPoint[];
}

interface Axis {
  readonly values: readonly number[];
  readonly ways: readonly Way[];
  readonly work: (value: number, size: ModelSize) => Omit<Work, "threads">;
}

// Full fine-tuning is where k ends.
const measured: Readonly<Record<AxisName, Axis>> = {
  batchSize: {
    values: [32, 128, 512],
    ways,
    work: (batchSize, size) => ({ size, batchSize, lengths: "cola", k: 8 }),
  },
  length: {
    values: [32, 128, 512],
    ways: ["full", "store", "recompute"],
    work: (lengths, size) => ({ size, batchSize: 4, lengths, k: 16 }),
  },
  k: {
    values: [4, 16, 128],
    ways: ["store", "recompute"],
    work: (k, size) => ({ size, batchSize: 8, lengths: 128, k }),
  },
  depth: {
    values: [2, 12, 24],
    ways: ["full", "store", "recompute"],
    work: (layers, size) => ({ size: { ...size, layers }, batchSize: 8, lengths: 128, k: 16 }),
  },
};

/** Measures every point in a process of its own, which makes one step that is not counted. */
export async function measure(settings: GrowthResult["settings"], chosen: readonly Way[]): Promise<GrowthResult> {
  const points: GrowthPoint[] = [];
  for (const axis of axes) {
    const { values, ways, work } = measured[axis];
    for (const value of values) {
      for (const way of ways.filter((way) => chosen.includes(way))) {
        const point = { axis, value, way };
        points.push({
          ...point,
          ...await measurePoint(way, { ...work(value, modelSizes[settings.model]), ...settings }, settings.steps),
        });
        console.error(`${axis} ${value}: ${way}`);
      }
    }
  }
  return { ...await describeOrigin(), settings, points };
}

async function measurePoint(
  way: Way,
  work: Work,
  steps: number,
): Promise<Pick<GrowthPoint, "activationBytes" | "peakBytes" | "stepSeconds">> {
  const { step, stop } = start(way, work, undefined);
  try {
    await step();
    const counted = await Array.fromAsync({ length: steps }, step);
    return {
      activationBytes: Math.max(...counted.map(({ activationBytes }) => activationBytes)),
      peakBytes: Math.max(...counted.map(({ peakBytes }) => peakBytes)),
      stepSeconds: Number(median(counted.map(secondsOf)).toFixed(4)),
    };
  } finally {
    await stop();
  }
}

const headings: Readonly<Record<Way, string>> = {
  full: "Full",
  store: "Stored",
  recompute: "Recomputed",
  lora: "With LoRA",
};
const axisHeadings: Readonly<Record<AxisName, string>> = {
  batchSize: "Sequences",
  length: "Tokens each",
  k: "k",
  depth: "Layers",
};

/** One axis as a Markdown table: for each way activations and peak in MiB, and seconds. */
export function growthTable({ points }: GrowthResult, axis: AxisName): string {
  const ofAxis = points.filter((point) => point.axis === axis);
  const shown = ways.filter((way) => ofAxis.some((point) => point.way === way));
  const rows = [...new Set(ofAxis.map(({ value }) => value))].map((value) => [
    `${value}`,
    ...shown.flatMap((way) => {
      const point = ofAxis.find((each) => each.value === value && each.way === way);
      if (point === undefined) return ["", "", ""];
      return [mebibytes(point.activationBytes), mebibytes(point.peakBytes), point.stepSeconds.toFixed(2)];
    }),
  ]);
  const header = shown.flatMap((way) => [`${headings[way]}: activations`, "peak", "step, s"]);
  return markdownTable([axisHeadings[axis], ...header], rows);
}

// Of the paper's figure 2: CoLA, batches of 512, on a GPU; MiB.
const paper: readonly (readonly [title: string, peak: number, way: Way])[] = [
  ["Full", 23_196, "full"],
  ["Selective, stored", 9_952, "store"],
  ["Selective, recomputed", 9_952, "recompute"],
  ["Selective + LoRA, recomputed", 7_682, "lora"],
];

/** Peaks beside those of the paper, as a Markdown table. */
export function paperTable({ points }: GrowthResult): string {
  return markdownTable(
    ["Peak, MiB", "Paper", "A quarter of it", "Fewtune"],
    paper.map(([title, peak, way]) => {
      const point = points.find((each) => each.axis === "batchSize" && each.value === 512 && each.way === way);
      const mine = point === undefined ? "" : mebibytes(point.peakBytes);
      return [title, peak.toLocaleString("en-US"), Math.floor(peak / 4).toLocaleString("en-US"), mine];
    }),
  );
}

function chosenWays(text: string): Way[] {
  const names: readonly string[] = contestantNames(text);
  return ways.filter((way) => names.includes(way));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: "bert-base" },
      steps: { type: "string", default: "2" },
      threads: { type: "string", default: "2" },
      ways: { type: "string", default: ways.join() },
      json: { type: "string" },
    },
  });
  const settings = {
    model: modelName(values.model),
    steps: count("steps", values.steps),
    threads: count("threads", values.threads),
  };
  const result = await measure(settings, chosenWays(values.ways));
  for (const axis of axes) console.log(growthTable(result, axis) + "\n");
  console.log(paperTable(result));
  if (values.json !== undefined) writeResult(values.json, result);
}
