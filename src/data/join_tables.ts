// Several tables as one: the files that a dataset's split is cut into.
import { DataError } from "../errors.ts";
import type { Table } from "./table.ts";

/**
 * The rows of all tables below each other, counted anew from 1.
 *
 * @param path what the whole is called in messages
 * @throws {DataError} when the tables do not have the same columns
 */
export function joinTables(tables: readonly Table[], path: string): Table {
  const [first, ...others] = tables;
  if (!first) throw new DataError(`${path} has no files`);
  for (const { path: other, columns } of others) {
    const odd = new Set(columns).symmetricDifference(new Set(first.columns)).values().next().value;
    if (odd !== undefined) {
      throw new DataError(
        `${first.path} and ${other} belong together, but only one has the column ${JSON.stringify(odd)}`,
      );
    }
  }
  const rows = tables.flatMap(({ rows }) => rows);
  return {
    path,
    columns: first.columns,
    rows,
    lines: rows.map((_, index) => index + 1),
    unit: "row",
    unread: new Map(tables.flatMap(({ unread }) => [...unread ?? []])),
    classNames: first.classNames ?? new Map(),
  };
}
