// The tables of a report: results, and in which settings the runs differ.

import { escapeHtml } from "./escape.ts";
import type { Run } from "./run.ts";
import { colourCount } from "./charts.ts";

/** The results, a row for each run. */
export function resultTable(runs: readonly Run[]): string {
  const metrics = (of: (run: Run) => Readonly<Record<string, number>>, part: string): Column[] =>
    [...new Set(runs.flatMap((run) => Object.keys(of(run))))].map((name) => ({
      title: `${part} ${name}`,
      cell: (run) => of(run)[name]?.toFixed(4) ?? "",
      isNumber: true,
    }));
  return table(runs, [
    { title: "state", cell: ({ state }) => state },
    ...metrics(({ dev }) => dev, "dev"),
    ...metrics(({ test }) => test, "test"),
    { title: "steps", cell: ({ steps }) => whole(steps), isNumber: true },
    { title: "time", cell: ({ seconds }) => duration(seconds), isNumber: true },
    {
      title: "peak MiB",
      cell: ({ peakBytes }) => peakBytes === null ? "" : whole(peakBytes / 2 ** 20),
      isNumber: true,
    },
    {
      title: "trained parameters",
      cell: ({ trainedParameters: count }) => count === null ? "" : whole(count),
      isNumber: true,
    },
  ]);
}

/**
 * The settings in which runs differ as a table; those that all share, folded away. Versions, which a run tells at its
 * end, are left out until all do.
 */
export function settingTables(runs: readonly Run[]): string {
  const names = [...new Set(runs.flatMap(({ settings }) => [...settings.keys()]))]
    .filter((name) => !name.startsWith("versions.") || runs.every(({ settings }) => settings.has(name)));
  const isShared = (name: string): boolean => new Set(runs.map(({ settings }) => settings.get(name))).size === 1;
  const different = names.filter((name) => !isShared(name));
  return [
    ...different.length > 0 ? ["<h2>Different settings</h2>", table(runs, different.map(settingColumn))] : [],
    ...names.length > different.length ? [sharedSettings(runs, names.filter(isShared))] : [],
  ].join("\n");
}

function settingColumn(name: string): Column {
  return { title: name, cell: ({ settings }) => settings.get(name) ?? "–" };
}

function sharedSettings([first, ...others]: readonly Run[], names: readonly string[]): string {
  const rows = names.map((name) =>
    `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(first?.settings.get(name) ?? "")}</td></tr>`
  );
  const title = others.length > 0 ? "Settings that all runs have" : "Settings";
  return `<details><summary>${title} (${names.length})</summary>
<div class="wide"><table>${rows.join("")}</table></div></details>`;
}

interface Column {
  readonly title: string;
  readonly cell: (run: Run) => string;
  readonly isNumber?: boolean;
}

function table(runs: readonly Run[], columns: readonly Column[]): string {
  const cell = (tag: "th" | "td", { isNumber }: Column, text: string): string =>
    `<${tag}${isNumber ? ' class="number"' : ""}>${escapeHtml(text)}</${tag}>`;
  const head = columns.map((column) => cell("th", column, column.title));
  const rows = runs.map((run, index) => {
    const cells = columns.map((column) => cell("td", column, column.cell(run)));
    return `<tr><th scope="row">${swatch(index)}${escapeHtml(run.name)}</th>${cells.join("")}</tr>`;
  });
  return `<div class="wide"><table><thead><tr><th>run</th>${head.join("")}</tr></thead>
<tbody>${rows.join("\n")}</tbody></table></div>`;
}

/** The runs' names beside their colours, where there are several. */
export function legend(names: readonly string[]): string {
  if (names.length === 1) return "";
  return `<ul class="legend">${names.map((name, run) => `<li>${swatch(run)}${escapeHtml(name)}</li>`).join("")}</ul>`;
}

function swatch(run: number): string {
  return `<i class="swatch" style="background:var(--run-${run % colourCount})"></i>`;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function duration(seconds: number): string {
  const units = [[3600, "h"], [60, "min"]] as const;
  const [size, unit] = units.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
  return `${(seconds / size).toFixed(1)} ${unit}`;
}
