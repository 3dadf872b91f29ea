// Which curves of runs are drawn, and how: charts in Vega-Lite's language.

import { smoothed, thinned } from "./curve.ts";
import type { Point, Run } from "./run.ts";

/** A chart of a page. */
export interface Chart {
  readonly title: string;
  /** What the lines are, and in what unit. */
  readonly subtitle: string;
  /** How d3-format writes a value. */
  readonly format: string;
  readonly lines: readonly Line[];
  readonly startsAtZero: boolean;
}

/** A curve of a chart. */
export interface Line {
  /** The index of the run that it is of. */
  readonly run: number;
  readonly look: Look;
  readonly points: readonly Point[];
}

/** Plain, faint behind a plain one, or dashed. */
export type Look = "plain" | "faint" | "dashed";

const mostPoints = 1000;

/** The charts of runs: those that have something to show. */
export function chartsOf(runs: readonly Run[]): Chart[] {
  const charts = [lossChart(runs), ...metricCharts(runs), ...stepCharts(runs)];
  return charts.map((chart) => ({ ...chart, lines: chart.lines.filter(({ points }) => points.length > 0) }))
    .filter(({ lines }) => lines.length > 0);
}

function lossChart(runs: readonly Run[]): Chart {
  const lines = noisyCurves(runs, ({ curves: { loss } }) => loss);
  return { title: "Training loss", subtitle: smoothedOver, format: ".4~g", lines, startsAtZero: false };
}

const smoothedOver = "smoothed; faint: as logged";

function noisyCurves(runs: readonly Run[], of: (run: Run) => readonly Point[] | undefined): Line[] {
  return runs.flatMap((run, index): Line[] => {
    const points = of(run) ?? [];
    const span = Math.max(10, Math.round(points.length / 50));
    return [
      { run: index, look: "faint", points: thinned(points, mostPoints) },
      { run: index, look: "plain", points: thinned(smoothed(points, span), mostPoints) },
    ];
  });
}

// What always says the most frequent label does not change over the steps.
function metricCharts(runs: readonly Run[]): Chart[] {
  const names = new Set(runs.flatMap(({ evaluations }) => Object.keys(evaluations)));
  names.delete("majority");
  return [...names].map((name) => ({
    ...{ title: name === "loss" ? "Dev loss" : `Dev ${name}`, subtitle: "after each evaluation", format: ".4~g" },
    lines: curves(runs, ({ evaluations }) => evaluations[name]),
    startsAtZero: false,
  }));
}

function stepCharts(runs: readonly Run[]): Chart[] {
  const mebibytes = (points: readonly Point[] = []): Point[] => points.map(([step, bytes]) => [step, bytes / 2 ** 20]);
  return [
    {
      ...{ title: "Memory", subtitle: "MiB in tensors after a step; dashed: the most so far", format: ",.5~r" },
      lines: [
        ...curves(runs, ({ curves: { liveBytes } }) => mebibytes(liveBytes)),
        ...curves(runs, ({ curves: { peakBytes } }) => mebibytes(peakBytes), "dashed"),
      ],
      startsAtZero: true,
    },
    {
      ...{ title: "Learning rate", subtitle: "of each step", format: ".2~e", startsAtZero: true },
      lines: curves(runs, ({ curves: { learningRate } }) => learningRate),
    },
    {
      ...{ title: "Gradient norm", subtitle: `before clipping; ${smoothedOver}`, format: ".3~g", startsAtZero: true },
      lines: noisyCurves(runs, ({ curves: { gradientNorm } }) => gradientNorm),
    },
    {
      ...{ title: "Speed", subtitle: `tokens per second; ${smoothedOver}`, format: ",.5~r", startsAtZero: true },
      lines: noisyCurves(runs, ({ curves: { tokensPerSecond } }) => tokensPerSecond),
    },
  ];
}

function curves(runs: readonly Run[], of: (run: Run) => readonly Point[] | undefined, look: Look = "plain"): Line[] {
  return runs.map((run, index) => ({ run: index, look, points: thinned(of(run) ?? [], mostPoints) }));
}

/** So many colours tell runs apart; the runs after them have these again. */
export const colourCount = 8;

/** Few points are also drawn as such: of a single one there would be no line. */
const fewPoints = 40;

const labelExpr = "datum.value === 0 ? '0' : datum.label";

/** A chart in Vega-Lite, without its values: rows of `step`, `value`, `line` and `run` in the data set `points`. */
export function specOf({ lines, format, startsAtZero }: Chart, steps: readonly [first: number, last: number]): object {
  const [first, last] = steps;
  const layer = (look: Look, mark: object): object => ({
    transform: [{ filter: `datum.look === '${look}'` }],
    mark: { type: "line", interpolate: "linear", strokeJoin: "round", strokeCap: "round", ...mark },
  });
  const longest = Math.max(...lines.filter(({ look }) => look === "plain").map(({ points }) => points.length));
  return {
    ...{ width: "container", height: 220, autosize: { type: "fit", contains: "padding" }, background: null },
    data: { name: "points" },
    encoding: {
      x: {
        ...{ field: "step", type: "quantitative", title: "step" },
        scale: { domain: first < last ? [first, last] : [first - 1, first + 1], nice: false },
        axis: { grid: false, format: ",d", tickMinStep: 1, tickCount: 5 },
      },
      y: {
        ...{ field: "value", type: "quantitative", title: null, axis: { format, tickCount: 5, labelExpr } },
        scale: { zero: startsAtZero, nice: true },
      },
      color: {
        ...{ field: "colour", type: "ordinal", legend: null },
        scale: { domain: range(colourCount), range: range(colourCount).map((colour) => `var(--run-${colour})`) },
      },
      detail: { field: "line" },
    },
    layer: [
      layer("faint", { strokeWidth: 1, opacity: 0.2 }),
      layer("dashed", { strokeWidth: 1.5, strokeDash: [5, 4], strokeCap: "butt" }),
      layer("plain", { strokeWidth: 2, ...(longest <= fewPoints && { point: { filled: true, size: 36 } }) }),
    ],
    config: {
      view: { stroke: null },
      font: "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif",
      axis: {
        ...{ domainColor: "var(--line)", gridColor: "var(--line)", tickColor: "var(--line)" },
        ...{ labelColor: "var(--faint)", titleColor: "var(--faint)", labelFontSize: 12, titleFontSize: 12 },
        ...{ titleFontWeight: "normal", labelPadding: 6 },
      },
      axisY: { domain: false, ticks: false },
    },
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
