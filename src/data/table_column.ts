// One column of a table, found by its name, and where a row is.
import { DataError } from "../errors.ts";
import type { Table } from "./table.ts";

/**
 * The column's values in the order of the rows.
 *
 * @throws {DataError} when there is no such column, or it holds what is no text; the message lists those that there are
 */
export function columnOf(table: Table, column: string): readonly string[] {
  if (!table.columns.includes(column)) {
    throw new DataError(`${table.path} has no column ${JSON.stringify(column)}, it has: ${table.columns.join(", ")}`);
  }
  const reason = table.unread?.get(column);
  if (reason !== undefined) {
    throw new DataError(`${table.path}: the column ${JSON.stringify(column)} cannot be used, ${reason}`);
  }
  return table.rows.map((row) => row[column] ?? "");
}

/** Where the row with this index is, for a message: `train.tsv, line 3`. */
export function placeOf({ path, unit = "line", lines }: Table, index: number): string {
  return `${path}, ${unit} ${lines[index]}`;
}
