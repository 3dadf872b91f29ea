// Draws docs/memory.svg from the measured step of the BERT-base-sized model: its peak, as stacked bars.

import { methodTitle } from "./step.ts";
import { type MethodResult, readResult, type StepResult } from "./results.ts";

const width = 760;
const chart = { left: 290, right: 660, top: 88, barHeight: 44, gap: 22 } as const;
const fonts = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
const ink = "#1f2933";
const faint = "#5f6c7b";

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
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="${fonts}">`,
    `<rect width="100%" height="100%" rx="8" fill="#ffffff"/>`,
    text(24, 30, "Memory of a training step", { size: 18, weight: 600 }),
    text(24, 56, `BERT-base size, ${batchSize} sequences of ${length} tokens, AdamW, float32`, { fill: faint }),
    ...bars.flatMap((method, index) =>
      drawBar(method, chart.top + index * (chart.barHeight + chart.gap), scale, methodTitle(method.method, k))
    ),
    ...legend(bottom + 34),
    "</svg>",
    "",
  ].join("\n");
}

function drawBar(method: MethodResult, y: number, scale: number, title: string): string[] {
  const middle = y + chart.barHeight / 2;
  let x: number = chart.left;
  const parts = segments.flatMap(({ color, textColor, bytes }) => {
    const [left, length] = [x, bytes(method) * scale];
    x += length;
    const rectangle = `<rect x="${round(left)}" y="${y}" width="${
      round(length)
    }" height="${chart.barHeight}" fill="${color}"/>`;
    const label = text(left + length / 2, middle, mebibytes(bytes(method)), { anchor: "middle", fill: textColor });
    return length > 60 ? [rectangle, label] : [rectangle];
  });
  return [
    text(chart.left - 14, middle, title, { anchor: "end", weight: 600 }),
    ...parts,
    text(x + 10, middle, `${mebibytes(method.peakBytes)} MiB`, { weight: 600 }),
  ];
}

function legend(y: number): string[] {
  let x = 24;
  return segments.flatMap(({ name, color }) => {
    const left = x;
    x += 46 + name.length * 6.9;
    return [
      `<rect x="${round(left)}" y="${y - 6}" width="12" height="12" rx="2" fill="${color}"/>`,
      text(left + 18, y, name, { fill: faint, size: 13 }),
    ];
  });
}

interface TextStyle {
  readonly size?: number;
  readonly weight?: number;
  readonly fill?: string;
  readonly anchor?: "start" | "middle" | "end";
}

// Centred on y. Not by dominant-baseline, which some programs that draw SVG do not know.
function text(x: number, y: number, content: string, style: TextStyle): string {
  const { size = 14, weight = 400, fill = ink, anchor = "start" } = style;
  const place = `x="${round(x)}" y="${round(y + 0.35 * size)}" text-anchor="${anchor}"`;
  return `<text ${place} font-size="${size}" font-weight="${weight}" fill="${fill}">${content}</text>`;
}

function mebibytes(bytes: number): string {
  return Math.round(bytes / 2 ** 20).toLocaleString("en-US");
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

/** Draws the picture anew. Does nothing when nothing was measured. */
export function writePicture(): void {
  const result = readResult("step_bert_base");
  if (result !== null) Deno.writeTextFileSync(new URL("../docs/memory.svg", import.meta.url), drawMemory(result));
}

if (import.meta.main) writePicture();
