// What the card of a dataset on the hub (README.md) says of its files: the YAML in front of the text.
import { parse } from "npm:yaml@2.9.1";
import { DataError } from "../errors.ts";
import { objectOf } from "./object_of.ts";
import type { ClassNames } from "./table.ts";

/** A configuration that a card declares. */
export interface CardConfig {
  /** The folder that patterns are relative to, with a slash at its end; empty for the repository itself. */
  readonly folder: string;
  /** Patterns of the files of each split; null where the card leaves it to the usual layout. */
  readonly splits: ReadonlyMap<string, readonly string[]> | null;
  readonly isDefault: boolean;
}

/** What a card declares. */
export interface DatasetCard {
  readonly configs: ReadonlyMap<string, CardConfig>;
  /** The class names of columns, by the configuration's name. */
  readonly classNames: ReadonlyMap<string, ClassNames>;
}

/**
 * Reads a card: `configs` and `dataset_info`, each of which may be absent.
 *
 * @param where whose card it is, for messages
 * @throws {DataError} when it begins with YAML that cannot be read
 */
export function readDatasetCard(readme: string, where: string): DatasetCard {
  const head = objectOf(parseYaml(/^\uFEFF?---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)/s.exec(readme)?.[1] ?? "", where));
  const configs = listOf(head["configs"]).map(objectOf).map((config) => [nameOf(config), readConfig(config)] as const);
  const infos = listOf(head["dataset_info"]).map(objectOf).map((info) => [nameOf(info), classNamesOf(info)] as const);
  return { configs: new Map(configs), classNames: new Map(infos) };
}

function parseYaml(text: string, where: string): unknown {
  try {
    return parse(text, { logLevel: "error", uniqueKeys: false });
  } catch (cause) {
    const reason = (cause as Error).message.split("\n")[0]?.replace(/:$/, "");
    throw new DataError(`the card (README.md) of ${where} cannot be read: ${reason}`, { cause });
  }
}

function nameOf({ config_name }: Record<string, unknown>): string {
  return typeof config_name === "string" ? config_name : "default";
}

function readConfig({ data_files, data_dir, default: isDefault }: Record<string, unknown>): CardConfig {
  const folder = typeof data_dir === "string" ? `${data_dir.replace(/^\.?\/|\/+$/g, "")}/` : "";
  return {
    folder: folder === "/" || folder === "./" ? "" : folder,
    splits: data_files === undefined ? null : readSplits(data_files),
    isDefault: isDefault === true,
  };
}

// A pattern, several, or each with the split that its files are of.
function readSplits(files: unknown): Map<string, readonly string[]> {
  const splits = new Map<string, string[]>();
  for (const entry of listOf(files)) {
    const { split = "train", path = entry } = objectOf(entry);
    const patterns = listOf(path).filter((pattern) => typeof pattern === "string");
    splits.set(String(split), [...splits.get(String(split)) ?? [], ...patterns]);
  }
  return splits;
}

// features: [{ name: label, dtype: { class_label: { names: { "0": negative, "1": positive } } } }]
function classNamesOf({ features }: Record<string, unknown>): ClassNames {
  return new Map(
    listOf(features).map(objectOf).flatMap(({ name, dtype }) => {
      const names = Object.values(objectOf(objectOf(objectOf(dtype)["class_label"])["names"])).map(String);
      return typeof name === "string" && names.length > 0 ? [[name, names] as const] : [];
    }),
  );
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
}
