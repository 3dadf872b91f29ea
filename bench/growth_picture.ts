// Draws docs/growth.svg: how memory and time of a step grow, a small diagram for each quantity and each thing that grows.

import { axes, type AxisName, type GrowthPoint, type GrowthResult, type Way, ways } from "./growth.ts";
import { readResult } from "./results.ts";
import { faint, grid, legend, round, svgDocument, text } from "../src/experiments/svg.ts";

const panel = { left: 84, top: 118, width: 190, height: 150, gapX: 34, gapY: 38 } as const;

interface Quantity {
  readonly title: string;
  readonly of: (point: GrowthPoint) => number;
}

const quantities: readonly Quantity[] = [
  { title: "Peak, MiB", of: ({ peakBytes }) => peakBytes / 2 ** 20 },
  { title: "Activations, MiB", of: ({ activationBytes }) => activationBytes / 2 ** 20 },
  { title: "Step, s", of: ({ stepSeconds }) => stepSeconds },
];

const columns: Readonly<Record<AxisName, readonly [title: string, rest: string]>> = {
  batchSize: ["Sequences in a batch", "CoLA's lengths, k = 8"],
  length: ["Tokens of each sequence", "4 sequences, k = 16"],
  k: ["Selected positions k", "8 sequences of 128 tokens"],
  depth: ["Layers", "8 sequences of 128 tokens, k = 16"],
};

const styles: Readonly<Record<Way, { readonly name: string; readonly color: string }>> = {
  full: { name: "Full", color: "#5f6c7b" },
  store: { name: "Selective, stored", color: "#f3b61f" },
  recompute: { name: "Selective, recomputed", color: "#e4572e" },
  lora: { name: "Selective + LoRA, recomputed", color: "#2a7f9e" },
};

/** From a value to a coordinate, by logarithms. */
interface Scale {
  readonly ticks: readonly number[];
  readonly at: (value: number) => number;
}

/** The picture as SVG. */
export function drawGrowth({ points, settings }: GrowthResult): string {
  const width = panel.left + axes.length * (panel.width + panel.gapX) - panel.gapX + 44;
  const height = panel.top + quantities.length * (panel.height + panel.gapY) + 42;
  const measured = ways.filter((way) => points.some((point) => point.way === way));
  return svgDocument(width, height, [
    text(24, 30, "How a training step grows", { size: 18, weight: 600 }),
    text(24, 54, `${modelTitle(settings.model)}, AdamW, float32; both axes are logarithmic`, { fill: faint }),
    ...axes.flatMap((axis, column) => drawColumnTitle(axis, leftOf(column))),
    ...quantities.flatMap((quantity, row) => drawRow(points, quantity, topOf(row))),
    ...legend(panel.left, height - 22, measured.map((way) => styles[way])),
  ]);
}

function modelTitle(model: string): string {
  return model === "bert-base" ? "BERT-base size" : `${model} size`;
}

function drawColumnTitle(axis: AxisName, left: number): string[] {
  const [title, rest] = columns[axis];
  return [
    text(left, panel.top - 34, title, { weight: 600 }),
    text(left, panel.top - 15, rest, { size: 12, fill: faint }),
  ];
}

// The diagrams of a row have their vertical scale in common.
function drawRow(points: readonly GrowthPoint[], { title, of }: Quantity, top: number): string[] {
  const vertical = scaleOf(points.map(of), [top + panel.height, top], decimalTicks);
  const middle = top + panel.height / 2;
  return [
    `<g transform="rotate(-90 24 ${middle})">${text(24, middle, title, { anchor: "middle", weight: 600 })}</g>`,
    ...vertical.ticks.map((tick) =>
      text(panel.left - 8, vertical.at(tick), tick.toLocaleString("en-US"), { size: 12, anchor: "end", fill: faint })
    ),
    ...axes.flatMap((axis, column) => {
      const ofAxis = points.filter((point) => point.axis === axis);
      return ofAxis.length === 0 ? [] : drawPanel(ofAxis, of, leftOf(column), top, vertical);
    }),
  ];
}

function drawPanel(
  points: readonly GrowthPoint[],
  of: Quantity["of"],
  left: number,
  top: number,
  vertical: Scale,
): string[] {
  const values = points.map(({ value }) => value);
  const horizontal = scaleOf(values, [left + 8, left + panel.width - 8], (_, __) => [...new Set(values)]);
  const [right, bottom] = [left + panel.width, top + panel.height];
  return [
    ...vertical.ticks.map((tick) => line([[left, vertical.at(tick)], [right, vertical.at(tick)]], grid, 1)),
    line([[left, top], [left, bottom], [right, bottom]], faint, 1),
    ...horizontal.ticks.map((tick) =>
      text(horizontal.at(tick), bottom + 13, `${tick}`, { size: 12, anchor: "middle", fill: faint })
    ),
    ...ways.flatMap((way) => {
      const ofWay = points.filter((point) => point.way === way);
      return drawCurve(
        ofWay.map((point) => [horizontal.at(point.value), vertical.at(of(point))] as const),
        styles[way].color,
      );
    }),
  ];
}

function drawCurve(places: readonly (readonly [x: number, y: number])[], color: string): string[] {
  if (places.length === 0) return [];
  return [
    line(places, color, 2),
    ...places.map(([x, y]) => `<circle cx="${round(x)}" cy="${round(y)}" r="3" fill="${color}"/>`),
  ];
}

function line(places: readonly (readonly [x: number, y: number])[], color: string, width: number): string {
  const path = places.map(([x, y]) => `${round(x)},${round(y)}`).join(" ");
  return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="${width}"/>`;
}

function scaleOf(
  values: readonly number[],
  [from, to]: readonly [number, number],
  ticksOf: (lowest: number, highest: number) => readonly number[],
): Scale {
  const ticks = ticksOf(Math.min(...values), Math.max(...values));
  const [lowest, highest] = [Math.min(...ticks, ...values), Math.max(...ticks, ...values)].map(Math.log) as [
    number,
    number,
  ];
  return { ticks, at: (value) => from + (Math.log(value) - lowest) / (highest - lowest || 1) * (to - from) };
}

/** 1, 2 and 5 times powers of ten around a range; only the powers themselves where these are many. */
export function decimalTicks(lowest: number, highest: number): number[] {
  const exponents = Array.from({ length: 16 }, (_, index) => index - 6);
  const ticksOf = (steps: readonly number[]): number[] => {
    const all = exponents.flatMap((exponent) => steps.map((step) => Number(`${step}e${exponent}`)));
    const first = all.findLastIndex((tick) => tick <= lowest);
    return all.slice(Math.max(first, 0), all.findIndex((tick) => tick >= highest) + 1);
  };
  const fine = ticksOf([1, 2, 5]);
  return fine.length <= 7 ? fine : ticksOf([1]);
}

function leftOf(column: number): number {
  return panel.left + column * (panel.width + panel.gapX);
}

function topOf(row: number): number {
  return panel.top + row * (panel.height + panel.gapY);
}

/** Draws the picture anew. Does nothing when nothing was measured. */
export function writeGrowthPicture(): void {
  const result = readResult("growth");
  if (result !== null) Deno.writeTextFileSync(new URL("../docs/growth.svg", import.meta.url), drawGrowth(result));
}

if (import.meta.main) writeGrowthPicture();
