// The text of a Parquet column's values: what of its types can be text, and the names of classes.
import type { FileMetaData, SchemaTree } from "npm:hyparquet@1.31.5";
import { parseFloat16 } from "npm:hyparquet@1.31.5/src/convert.js";
import { objectOf } from "./object_of.ts";
import type { ClassNames } from "./table.ts";

/** How a column's values become text, or why they cannot. */
export type ColumnReader =
  | { readonly read: (value: unknown) => string | null; readonly refused?: never }
  | { readonly read?: never; readonly refused: string };

/**
 * How to read a column: strings as they are, numbers in decimal, booleans as `true` and `false`. With class names its
 * numbers are the classes' ids, and -1 is no value: so `datasets` writes a label that is kept secret.
 */
export function columnReader({ element, children }: SchemaTree, classNames?: readonly string[]): ColumnReader {
  if (children.length > 0 || element.repetition_type === "REPEATED") return { refused: "it holds lists or structs" };
  const integer = integerReader(element);
  if (integer) return { read: classNames ? (value) => className(Number(value), classNames) : integer };
  const isText = ["UTF8", "ENUM", "JSON"].includes(element.converted_type ?? "") ||
    ["STRING", "ENUM", "JSON"].includes(element.logical_type?.type ?? "");
  if (isText && element.type === "BYTE_ARRAY") return { read: decodeText };
  if (element.logical_type?.type === "FLOAT16") return { read: (value) => String(parseFloat16(value as Uint8Array)) };
  const special = element.logical_type?.type ?? element.converted_type;
  if (special !== undefined) return { refused: `it is of type ${special.toLowerCase()}` };
  if (element.type === "BOOLEAN") return { read: String };
  if (element.type === "FLOAT") return { read: (value) => shortestFloat32(Number(value)) };
  if (element.type === "DOUBLE") return { read: String };
  return { refused: "it is binary" };
}

type ReadInteger = (value: unknown) => string;

function integerReader({ type, converted_type, logical_type }: SchemaTree["element"]): ReadInteger | undefined {
  if (type !== "INT32" && type !== "INT64") return undefined;
  const isPlain = converted_type === undefined && (logical_type === undefined || logical_type.type === "NULL");
  const isInteger = logical_type?.type === "INTEGER" || /^U?INT_/.test(converted_type ?? "");
  if (!isPlain && !isInteger) return undefined;
  const isUnsigned = converted_type?.startsWith("UINT_") ||
    logical_type?.type === "INTEGER" && !logical_type.isSigned;
  if (!isUnsigned) return String;
  return (value) => String(type === "INT32" ? Number(value) >>> 0 : BigInt.asUintN(64, value as bigint));
}

function className(id: number, names: readonly string[]): string | null {
  if (id === -1) return null;
  const name = names[id];
  if (name === undefined) throw new Error(`a class has the id ${id} where there are ${names.length} class names`);
  return name;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeText(value: unknown): string {
  try {
    return utf8.decode(value as Uint8Array<ArrayBuffer>);
  } catch {
    throw new Error("a text is not UTF-8");
  }
}

// The fewest digits that mean the same float32: 3.8, and not 3.799999952316284.
function shortestFloat32(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

/** The class names that `datasets` wrote into a file: of its columns of type ClassLabel. */
export function classNamesOf({ key_value_metadata = [] }: FileMetaData): ClassNames {
  const text = key_value_metadata.find(({ key }) => key === "huggingface")?.value;
  const features = objectOf(objectOf(objectOf(parseJson(text))["info"])["features"]);
  return new Map(
    Object.entries(features).flatMap(([column, feature]) => {
      const { _type, names } = objectOf(feature);
      return _type === "ClassLabel" && isNames(names) ? [[column, names] as const] : [];
    }),
  );
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === "string");
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return null;
  }
}
