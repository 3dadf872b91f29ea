// Draws docs/memory.svg from the measured step of the BERT-base-sized model: its peak, as stacked bars.

import { faint, ink, legend, mebibytes, rectangle, svgDocument, text } from "../src/experiments/svg.ts";
import { type ContestantName, titleOf } from "./contestants.ts";
import { type ContestantResult, readResult, type StepResult } from "./results.ts";

/** Those whom the picture and the main README show. */
export const shown: readonly ContestantName[] = [
  "hf_full",
  "hf_checkpointing",
  "hf_lora_checkpointing",
  "full",
  "store",
  "recompute",
  "in_backward",
  "lora",
];

const width = 840;
const chart = { left: 366, right: 736, top: 88, barHeight: 36, gap: 16 } as const;

interface Segment {
  readonly name: string;
  readonly color: string;
  readonly textColor: string;
  readonly bytes: (result: ContestantResult) => number;
}

const segments: readonly Segment[] = [
  {
    name: "Weights and optimizer state",
    color: "#b8c4d0",
    textColor: ink,
    bytes: ({ restingBytes }) => restingBytes,
  },
  {
    name: "Activations after the forward pass",
    color: "#e4572e",
    textColor: "#ffffff",
    bytes: ({ activationBytes }) => activationBytes,
  },
  {
    name: "Further, up to the peak",
    color: "#f3b61f",
    textColor: ink,
    bytes: ({ restingBytes, activationBytes, peakBytes }) => peakBytes - activationBytes - restingBytes,
  },
];

/** The picture as SVG. */
export function drawMemory({ settings, contestants }: StepResult): string {
  const bars = contestants.filter(({ name }) => shown.includes(name));
  const scale = (chart.right - chart.left) / Math.max(...bars.map(({ peakBytes }) => peakBytes));
  const bottom = chart.top + bars.length * (chart.barHeight + chart.gap) - chart.gap;
  const { batchSize, lengths, k } = settings;
  return svgDocument(width, bottom + 56, [
    text(24, 30, "Memory of a training step", { size: 18, weight: 600 }),
    text(24, 56, `BERT-base size, ${batchSize} sequences of ${lengths} tokens, k = ${k}, AdamW, float32`, {
      fill: faint,
    }),
    ...bars.flatMap((bar, index) => drawBar(bar, chart.top + index * (chart.barHeight + chart.gap), scale)),
    ...legend(24, bottom + 34, segments),
  ]);
}

function drawBar(result: ContestantResult, y: number, scale: number): string[] {
  const middle = y + chart.barHeight / 2;
  let x: number = chart.left;
  const parts = segments.flatMap(({ color, textColor, bytes }) => {
    const [left, length] = [x, bytes(result) * scale];
    x += length;
    const bar = rectangle(left, y, length, chart.barHeight, color);
    const label = text(left + length / 2, middle, mebibytes(bytes(result)), { anchor: "middle", fill: textColor });
    return length > 60 ? [bar, label] : [bar];
  });
  return [
    text(chart.left - 14, middle, titleOf(result.name), { anchor: "end", weight: 600 }),
    ...parts,
    text(x + 10, middle, `${mebibytes(result.peakBytes)} MiB`, { weight: 600 }),
  ];
}

/** Draws the picture anew. Does nothing when nothing was measured. */
export function writePicture(): void {
  const result = readResult("step_bert_base");
  if (result !== null) Deno.writeTextFileSync(new URL("../docs/memory.svg", import.meta.url), drawMemory(result));
}

if (import.meta.main) writePicture();
