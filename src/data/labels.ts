// The names of a classifier's classes, and the id that each has in the model.
import { DataError, OptionError } from "../errors.ts";
import type { Table } from "./table.ts";
import { columnOf, placeOf } from "./table_column.ts";

/** Classes in the order of their ids, from 0. */
export class LabelSet {
  readonly names: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  /** @throws {OptionError} when there are no names, or two are equal */
  constructor(names: readonly string[]) {
    this.names = [...names];
    this.#ids = new Map(names.map((name, id) => [name, id]));
    if (names.length === 0) throw new OptionError("a set of labels needs at least one name");
    if (this.#ids.size !== names.length) throw new OptionError(`a label is named twice in: ${names.join(", ")}`);
  }

  /** The labels "0", "1", ... of a model that knows only how many there are. */
  static numbered(count: number): LabelSet {
    return new LabelSet(Array.from({ length: count }, (_, id) => String(id)));
  }

  /** The number of classes. */
  get size(): number {
    return this.names.length;
  }

  /** The id of a name, or undefined when it is none of the labels. */
  idOf(name: string): number | undefined {
    return this.#ids.get(name);
  }
}

/**
 * The labels of a column: the names of its classes where the table says them, else those that occur, integers in numeric
 * order, anything else in the order of its characters.
 *
 * @throws {DataError} when the column is missing, a label is empty, or all are the same
 */
export function discoverLabels(table: Table, column: string): LabelSet {
  const values = columnOf(table, column).map((value) => value.trim());
  const empty = values.indexOf("");
  if (empty >= 0) throw new DataError(`${placeOf(table, empty)}: ${JSON.stringify(column)} is empty`);
  const names = [...new Set(values)].sort();
  if (names.length === 1) {
    throw new DataError(`${table.path} has only one label, ${JSON.stringify(names[0])}: there is nothing to learn`);
  }
  const classNames = table.classNames?.get(column);
  if (classNames) return new LabelSet(classNames);
  return new LabelSet(names.every(isInteger) ? names.sort((a, b) => Number(a) - Number(b)) : names);
}

function isInteger(text: string): boolean {
  return /^-?\d+$/.test(text);
}
