// One column of a table, found by its name.
import { DataError } from "../errors.ts";
import type { Table } from "./table.ts";

/**
 * The column's values in the order of the rows.
 *
 * @throws {DataError} when there is no such column; the message lists those that there are
 */
export function columnOf(table: Table, column: string): readonly string[] {
  if (!table.columns.includes(column)) {
    throw new DataError(`${table.path} has no column ${JSON.stringify(column)}, it has: ${table.columns.join(", ")}`);
  }
  return table.rows.map((row) => row[column] ?? "");
}
