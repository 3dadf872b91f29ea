// Small tasks of GLUE in the layout of its own files, of words that the tiny model knows.

import { join } from "node:path";
import { type GlueFile, type GluePart, type GlueTask, glueTaskNamed } from "../../mod.ts";
import { reviews } from "../cli/tiny_model.ts";

const counts: Readonly<Record<GluePart, number>> = {
  train: 48,
  dev: 12,
  devMismatched: 8,
  test: 10,
  testMismatched: 6,
};

/** Writes a task's folder into `folder`; its label says whether the text is good, its test files count down from 900. */
export function writeGlueTask(folder: string, name: string, parts = Object.keys(counts)): void {
  const task = glueTaskNamed(name);
  Deno.mkdirSync(join(folder, task.name), { recursive: true });
  for (const file of task.files.filter(({ part }) => parts.includes(part))) {
    Deno.writeTextFileSync(join(folder, task.name, file.name), textOf(task, file));
  }
}

function textOf(task: GlueTask, { part, columns, hasHeader }: GlueFile): string {
  const rows = reviews(counts[part]).map(({ text, good }, row) =>
    columns.map(([, from]) => {
      if (from === "label") return labelOf(task, good);
      if (from === "idx") return String(900 - row);
      return from === null ? "" : text;
    })
  );
  return [...hasHeader ? [columns.map(([name]) => name)] : [], ...rows].map((row) => row.join("\t") + "\n").join("");
}

function labelOf(task: GlueTask, good: boolean): string {
  const { labels, writtenLabels = labels } = task;
  return labels === "regression" ? (good ? "4.5" : "0.800") : writtenLabels[good ? 1 : 0] ?? "";
}
