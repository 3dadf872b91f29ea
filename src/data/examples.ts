// From the rows of a table to what a model is trained on: a text or a pair, and a label.
import { DataError } from "../errors.ts";
import type { LabelSet } from "./labels.ts";
import type { Table } from "./table.ts";
import { columnOf, placeOf } from "./table_column.ts";

/** One example. */
export interface Example {
  readonly text: string;
  readonly textPair?: string;
  /** The class's id, or in regression the target; absent where there is nothing to compare with. */
  readonly label?: number;
}

/** Which columns hold what. A label is one of a set, or in regression any number. */
export type ExampleColumns =
  & { readonly text: string; readonly textPair?: string }
  & ({ readonly label?: never; readonly labels?: never } | LabelColumn);

/** The column of the labels, and how to read them. */
export interface LabelColumn {
  readonly label: string;
  readonly labels: LabelSet | "regression";
}

/**
 * Reads a table's rows as examples, in their order.
 *
 * @throws {DataError} when a column is missing, or a label is not in the set, or in regression not a number
 */
export function readExamples(table: Table, columns: ExampleColumns): Example[] {
  const texts = columnOf(table, columns.text);
  const pairs = columns.textPair === undefined ? undefined : columnOf(table, columns.textPair);
  const labels = columns.label === undefined ? undefined : readLabels(table, columns);
  return texts.map((text, index) => {
    const textPair = pairs?.[index];
    const label = labels?.[index];
    return { text, ...(textPair !== undefined && { textPair }), ...(label !== undefined && { label }) };
  });
}

function readLabels(table: Table, { label, labels }: LabelColumn): number[] {
  return columnOf(table, label).map((text, index) => {
    const value = text.trim();
    const read = labels === "regression" ? parseDecimal(value) : labels.idOf(value);
    if (read !== undefined) return read;
    const expected = labels === "regression" ? "a number" : `a known label (${summarize(labels.names)})`;
    throw new DataError(`${placeOf(table, index)}: the label ${JSON.stringify(value)} is not ${expected}`);
  });
}

function parseDecimal(text: string): number | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function summarize(names: readonly string[]): string {
  return names.length <= 20 ? names.join(", ") : `${names.slice(0, 20).join(", ")}, and ${names.length - 20} more`;
}
