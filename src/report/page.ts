// A report: one page of HTML about runs that needs nothing but itself.

import { version } from "../version.ts";
import { type Chart, chartsOf, colourCount, specOf } from "./charts.ts";
import { escapeHtml, scriptJson, scriptText } from "./escape.ts";
import { compileChart, vegaScript } from "./libraries.ts";
import program from "./page.js" with { type: "text" };
import style from "./page.css" with { type: "text" };
import type { Run } from "./run.ts";
import { legend, resultTable, settingTables } from "./tables.ts";

/** The page about runs: curves over their steps, results, and in which settings they differ. */
export async function reportPage(runs: readonly Run[]): Promise<string> {
  const charts = chartsOf(runs);
  const names = runs.map(({ name }) => name);
  const title = names.length > 3 ? `${names.length} runs` : names.join(", ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)} – Fewtune</title>
<style>
${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<p class="made">Made by Fewtune ${version} on ${new Date().toISOString().slice(0, 16).replace("T", " at ")} UTC</p>
<h2>Results</h2>
${resultTable(runs)}
${settingTables(runs)}
<h2>Curves</h2>
${charts.length === 0 ? "<p>No step is done yet.</p>" : await chartsPart(charts, names)}
</body>
</html>
`;
}

// Vega makes functions of its expressions, which eval stands for here; nothing is fetched.
const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'";

async function chartsPart(charts: readonly Chart[], names: readonly string[]): Promise<string> {
  const drawn = await Promise.all(charts.map(async (chart) => ({
    ...{ format: chart.format, lines: chart.lines.map(rounded) },
    spec: await compileChart(specOf(chart, stepsOf(charts))),
  })));
  return `${legend(names)}
<div class="charts">
${charts.map(figure).join("\n")}
</div>
<script type="application/json" id="data">${scriptJson({ charts: drawn, runs: names, colourCount })}</script>
<!-- Vega (vega.github.io), Copyright (c) University of Washington Interactive Data Lab, BSD 3-Clause License -->
<script>${scriptText(await vegaScript())}</script>
<script>${scriptText(program)}</script>`;
}

function stepsOf(charts: readonly Chart[]): [first: number, last: number] {
  const steps = charts.flatMap(({ lines }) => lines.flatMap(({ points }) => [points.at(0)?.[0], points.at(-1)?.[0]]))
    .filter((step) => step !== undefined);
  return [Math.min(...steps), Math.max(...steps)];
}

function rounded(line: Chart["lines"][number]): Chart["lines"][number] {
  return { ...line, points: line.points.map(([step, value]) => [step, Number(value.toPrecision(6))]) };
}

function figure({ title, subtitle }: Chart, index: number): string {
  return `<figure id="chart-${index}">
<figcaption>${escapeHtml(title)}<small>${escapeHtml(subtitle)}</small></figcaption>
<div class="plot" role="img" aria-label="${escapeHtml(`${title} over the steps`)}"></div>
</figure>`;
}
