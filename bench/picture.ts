// Draws docs/memory.svg from the measured step of the BERT-base-sized model: its peak, as stacked bars.

import { faint, ink, legend, mebibytes, rectangle, svgDocument, text } from "../src/experiments/svg.ts";
import { methodTitle } from "./step.ts";
import { type MethodResult, readResult, type StepResult } from "./results.ts";

const width = 760;
const chart = { left: 290, right: 660, top: 88, barHeight: 44, gap: 22 } as const;

interface Segment {
  readonly name: string;
  readonly color: string;
  readonly textColor: string;
  readonly bytes: (method: MethodResult) => number;
}

const segments: readonly Segment[] = [
  {
    name: "Weights and optimizer state",
    color: "#b8c4d0",
    textColor: ink,
    bytes: ({ restingBytes }) => restingBytes ?? 0,
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
    bytes: ({ restingBytes, activationBytes, peakBytes }) => peakBytes - activationBytes - (restingBytes ?? 0),
  },
];

/** The picture as SVG. */
export function drawMemory({ settings, methods }: StepResult): string {
  const bars = methods.filter(({ restingBytes }) => restingBytes !== null);
  const most = Math.max(...bars.map(({ peakBytes }) => peakBytes));
  const scale = (chart.right - chart.left) / most;
  const bottom = chart.top + bars.length * (chart.barHeight + chart.gap) - chart.gap;
  const height = bottom + 56;
  const { batchSize, length, k } = settings;
  return svgDocument(width, height, [
    text(24, 30, "Memory of a training step", { size: 18, weight: 600 }),
    text(24, 56, `BERT-base size, ${batchSize} sequences of ${length} tokens, AdamW, float32`, { fill: faint }),
    ...bars.flatMap((method, index) =>
      drawBar(method, chart.top + index * (chart.barHeight + chart.gap), scale, methodTitle(method.method, k))
    ),
    ...legend(24, bottom + 34, segments),
  ]);
}

function drawBar(method: MethodResult, y: number, scale: number, title: string): string[] {
  const middle = y + chart.barHeight / 2;
  let x: number = chart.left;
  const parts = segments.flatMap(({ color, textColor, bytes }) => {
    const [left, length] = [x, bytes(method) * scale];
    x += length;
    const bar = rectangle(left, y, length, chart.barHeight, color);
    const label = text(left + length / 2, middle, mebibytes(bytes(method)), { anchor: "middle", fill: textColor });
    return length > 60 ? [bar, label] : [bar];
  });
  return [
    text(chart.left - 14, middle, title, { anchor: "end", weight: 600 }),
    ...parts,
    text(x + 10, middle, `${mebibytes(method.peakBytes)} MiB`, { weight: 600 }),
  ];
}

/** Draws the picture anew. Does nothing when nothing was measured. */
export function writePicture(): void {
  const result = readResult("step_bert_base");
  if (result !== null) Deno.writeTextFileSync(new URL("../docs/memory.svg", import.meta.url), drawMemory(result));
}

if (import.meta.main) writePicture();
