// The labels of GLUE's tasks, and those of a model that answers them, which may call its classes otherwise.

import { type GlueTask, labelColumn, labelSpellings } from "../data/glue/tasks.ts";
import type { Table } from "../data/table.ts";
import { columnOf } from "../data/table_column.ts";
import { OptionError } from "../errors.ts";
import { list } from "../files/shown.ts";
import type { Target } from "../models/classifier.ts";

/**
 * The names that a model has for a task's classes, in the order of the task's.
 *
 * @throws {OptionError} when it was trained for something else
 */
export function modelLabels(target: Target, task: GlueTask): readonly string[] {
  const isRegression = target === "regression";
  if (isRegression && task.labels === "regression") return [];
  if (typeof target === "object" && task.labels !== "regression" && !target.isMultiLabel) {
    const ids = classIds(target.labels, task);
    const ordered = task.labels.map((_, id) => target.labels[ids.indexOf(id)]);
    if (ids.length === ordered.length && ordered.every((name) => name !== undefined)) {
      refuseTurned(ids, task);
      return ordered;
    }
  }
  const answers = typeof target === "object" ? list(target.labels) : isRegression ? "numbers" : "tokens";
  const wanted = task.labels === "regression" ? "numbers" : task.labels.join(", ");
  throw new OptionError(`the model answers with ${answers}, but GLUE's ${task.name} asks for ${wanted}`);
}

// Which class each of a model's labels means: by its name, or where it never learnt names, by its place.
function classIds(names: readonly string[], task: GlueTask): number[] {
  if (names.every((name, id) => name === `LABEL_${id}`)) return names.map((_, id) => id);
  const spellings = labelSpellings(task);
  return names.map((name) => {
    const label = spellings.get(name) ?? spellings.get(name.toLowerCase()) ?? "";
    return task.labels === "regression" ? -1 : task.labels.indexOf(label);
  });
}

// F1 is that of the label with id 1, which has to be the task's own.
function refuseTurned(ids: readonly number[], { name, metrics }: GlueTask): void {
  if (metrics.includes("f1") && ids[0] !== 0) {
    throw new OptionError(
      `the model has the labels of GLUE's ${name} the other way round, which F1 cannot be taken of`,
    );
  }
}

/** A task's table with the labels that the model has for them. Throws as {@linkcode modelLabels}. */
export function inModelLabels(table: Table, target: Target, task: GlueTask): Table {
  const names = modelLabels(target, task);
  if (task.labels === "regression") return table;
  const renamed = new Map(task.labels.map((label, id) => [label, names[id] ?? ""]));
  const labels = columnOf(table, labelColumn).map((label) => renamed.get(label) ?? label);
  return withLabels(table, labels, names);
}

/** The table with other labels, and all their names in the order of their ids. */
export function withLabels(table: Table, labels: readonly string[], names: readonly string[]): Table {
  const rows = table.rows.map((row, index) => ({ ...row, [labelColumn]: labels[index] ?? "" }));
  return { ...table, rows, classNames: new Map([[labelColumn, names]]) };
}
