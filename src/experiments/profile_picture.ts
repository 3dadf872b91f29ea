// Draws a profiled step: what the live bytes are for, stacked over the time of the step.

import { median } from "../metrics/median.ts";
import type { BytesByUse } from "../train/profile_memory.ts";
import type { StepPhase } from "../train/pieces.ts";
import type { PieceProfile, ProfileSettings, StepProfile } from "../train/step_profile.ts";
import { faint, ink, legend, line, mebibytes, rectangle, round, svgDocument, text } from "./svg.ts";

const [width, height] = [960, 540];
const chart = { left: 76, right: 932, top: 112, bottom: 388 } as const;
const mebibyte = 2 ** 20;

interface Use {
  readonly name: string;
  readonly color: string;
  readonly key: keyof BytesByUse;
}

// From the bottom up.
const uses: readonly Use[] = [
  { name: "Weights", color: "#b8c4d0", key: "weightsBytes" },
  { name: "Optimizer state", color: "#8d9db0", key: "optimizerBytes" },
  { name: "Gradients", color: "#3d7ea6", key: "gradientBytes" },
  { name: "Activations", color: "#e4572e", key: "activationBytes" },
  { name: "Workspace", color: "#f3b61f", key: "workspaceBytes" },
];

const phaseColors: Readonly<Record<StepPhase, string>> = {
  batch: "#eef1f4",
  forwardWithoutGrad: "#dde3ea",
  forwardWithGrad: "#a9b6c3",
  backward: "#5f6c7b",
  optimizerStep: "#1f2933",
};

// A piece of work with its place on the time axis.
interface Column extends PieceProfile {
  readonly from: number;
  readonly to: number;
}

/**
 * The picture as SVG. Each piece of work is as wide as its time, and as high as its fullest moment: the areas add up to
 * the most that was live in it.
 */
export function drawProfile({ settings, timeline, peak }: StepProfile): string {
  const columns = place(timeline);
  const y = scale(peak.peakBytes);
  return svgDocument(width, height, [
    text(24, 30, "Memory of a training step", { size: 18, weight: 600 }),
    text(24, 56, describe(settings), { fill: faint }),
    ...yAxis(peak.peakBytes, y),
    ...uses.map((use, index) => area(columns, use.color, uses.slice(0, index), uses.slice(0, index + 1), y)),
    ...peakMark(columns, peak.peakBytes, peak.where, y),
    ...phaseStrip(columns),
    ...layerNumbers(columns, settings.layers),
    ...partNames(columns),
    ...legend(chart.left, height - 50, uses.toReversed()),
    ...legend(chart.left, height - 24, [
      ...(columns.some(({ phase }) => phase === "forwardWithoutGrad")
        ? [{ name: "Forward without gradients", color: phaseColors.forwardWithoutGrad }]
        : []),
      { name: "Forward with gradients", color: phaseColors.forwardWithGrad },
      { name: "Backward", color: phaseColors.backward },
      { name: "Optimizer's step", color: phaseColors.optimizerStep },
    ]),
  ]);
}

function describe(settings: ProfileSettings): string {
  const { model, batchSize, tokens, method, k, activations, optimizerInBackward, precision, device } = settings;
  const sequences = `${batchSize} sequences, ${tokens.toLocaleString("en-US")} tokens`;
  const positions = k === "all" ? method : `${method}, k = ${k}`;
  const update = optimizerInBackward ? "AdamW in backward" : "AdamW";
  return `${model}: ${sequences}; ${positions}, ${activations}, ${update}; ${precision}, ${device}`;
}

function place(timeline: readonly PieceProfile[]): Column[] {
  const total = timeline.reduce((sum, { ms }) => sum + ms, 0) || 1;
  let elapsed = 0;
  const x = (): number => chart.left + (elapsed / total) * (chart.right - chart.left);
  return timeline.map((piece) => {
    const from = x();
    elapsed += piece.ms;
    return { ...piece, from, to: x() };
  });
}

function scale(peakBytes: number): (bytes: number) => number {
  return (bytes) => chart.bottom - (bytes / peakBytes) * (chart.bottom - chart.top);
}

function yAxis(peakBytes: number, y: (bytes: number) => number): string[] {
  const step = niceStep(peakBytes / mebibyte / 5);
  const ticks = Array.from({ length: Math.floor(peakBytes / mebibyte / step) + 1 }, (_, index) => index * step);
  return [
    text(24, chart.top - 26, "Live, MiB", { fill: faint, size: 13 }),
    ...ticks.flatMap((tick) => {
      const at = y(tick * mebibyte);
      const label = tick.toLocaleString("en-US", { maximumFractionDigits: 3 });
      return [
        line([chart.left, at], [chart.right, at], "#e4e9ee"),
        text(chart.left - 10, at, label, { anchor: "end", fill: faint, size: 13 }),
      ];
    }),
  ];
}

/** The number of the form 1, 2 or 5 times a power of ten that is nearest above. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}

// The area between the sums of the uses below it, and those with its own.
function area(
  columns: readonly Column[],
  color: string,
  below: readonly Use[],
  upTo: readonly Use[],
  y: (bytes: number) => number,
): string {
  const edge = (some: readonly Use[]): string[] =>
    columns.map((column) => {
      const at = round(y(some.reduce((sum, { key }) => sum + column[key], 0)));
      return `${round(column.from)},${at} ${round(column.to)},${at}`;
    });
  const back = edge(below).toReversed().map((points) => points.split(" ").toReversed().join(" "));
  return `<polygon points="${[...edge(upTo), ...back].join(" ")}" fill="${color}"/>`;
}

function peakMark(
  columns: readonly Column[],
  peakBytes: number,
  where: string,
  y: (bytes: number) => number,
): string[] {
  const column = columns.find((each) => each.peakBytes === peakBytes);
  if (column === undefined) return [];
  const x = (column.from + column.to) / 2;
  const label = `Peak ${mebibytes(peakBytes)} MiB: ${where}`;
  const half = label.length * 4.2;
  const middle = Math.min(Math.max(x, chart.left + half), chart.right - half);
  return [
    line([chart.left, y(peakBytes)], [chart.right, y(peakBytes)], ink, "3 4"),
    `<path d="M${round(x)} ${chart.top - 2} l-5 -8 h10 z" fill="${ink}"/>`,
    text(middle, chart.top - 24, label, { anchor: "middle", weight: 600 }),
  ];
}

function phaseStrip(columns: readonly Column[]): string[] {
  return columns.map(({ from, to, phase }) => rectangle(from, chart.bottom + 4, to - from, 7, phaseColors[phase]));
}

// The numbers of the layers, from 1, below the times in which they were at work; as many as there is room for.
function layerNumbers(columns: readonly Column[], layers: number): string[] {
  const spans = spansOf(columns, ({ layer, phase }) => `${isForward(phase)} ${layer}`)
    .filter(({ layer }) => layer !== null && layer >= 0 && layer < layers);
  const room = 10 + 7 * String(layers).length;
  const width = median(spans.map(({ from, to }) => to - from));
  const every = [1, 2, 3, 4, 6, 12, 24].find((count) => count * width >= room) ?? layers;
  let free = chart.left;
  return spans.flatMap(({ from, to, layer }) => {
    const [number, middle] = [(layer ?? 0) + 1, (from + to) / 2];
    if (number % every !== 0 || middle - room / 2 < free) return [];
    free = middle + room / 2;
    return [text(middle, chart.bottom + 24, String(number), { anchor: "middle", fill: faint, size: 12 })];
  });
}

// The names and times of the step's parts, below their spans; one too narrow for it has its name one line lower.
function partNames(columns: readonly Column[]): string[] {
  return spansOf(columns, partOf).filter(({ from, to }) => to - from > 2).flatMap((span) => {
    const label = `${partOf(span)} ${duration(span.ms)}`;
    const name = span.to - span.from > label.length * 8.4
      ? text((span.from + span.to) / 2, chart.bottom + 46, label, { anchor: "middle", weight: 600 })
      : text(span.to, chart.bottom + 66, label, { anchor: "end", weight: 600 });
    const edge = line([span.from, chart.bottom + 4], [span.from, chart.bottom + 56], "#c5ced7");
    return span.from > chart.left ? [edge, name] : [name];
  });
}

function partOf({ phase, layer }: Column): string {
  if (isForward(phase)) return "forward";
  return phase === "optimizerStep" && layer === null ? "optimizer" : "backward";
}

function isForward(phase: StepPhase): boolean {
  return phase !== "backward" && phase !== "optimizerStep";
}

// Neighbouring columns of the same name as one.
function spansOf(columns: readonly Column[], nameOf: (column: Column) => string): Column[] {
  const spans: Column[] = [];
  for (const column of columns) {
    const last = spans.at(-1);
    if (last && nameOf(last) === nameOf(column)) {
      spans[spans.length - 1] = { ...last, to: column.to, ms: last.ms + column.ms };
    } else spans.push(column);
  }
  return spans;
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}
