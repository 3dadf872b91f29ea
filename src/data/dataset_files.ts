// Which files of a dataset's repository hold which configuration and split: by its card, or by where they are.
import type { DatasetCard } from "./dataset_card.ts";
import { matchesPattern } from "./glob.ts";
import { isTableName } from "./table.ts";

/** Files of each split. */
export type SplitFiles = ReadonlyMap<string, readonly string[]>;

/** The splits of each configuration; `default` is the one without a name. */
export type ConfigFiles = ReadonlyMap<string, SplitFiles>;

/**
 * The table files of a repository, by configuration and split: those that the card names, else by the usual layouts
 * (`CONFIG/SPLIT-00000-of-00001.parquet`, `data/SPLIT-...`, `CONFIG/SPLIT/...`, `SPLIT.csv`).
 */
export function datasetFiles(paths: readonly string[], card: DatasetCard): ConfigFiles {
  if (card.configs.size === 0) return byLayout(paths);
  const configs = [...card.configs].map(([name, { folder, splits }]) => {
    const inside = paths.filter((path) => path.startsWith(folder));
    if (splits === null) return [name, folder === "" ? byLayout(paths).get(name) : inFolder(inside, folder)] as const;
    const matching = [...splits].map(([split, patterns]) => {
      const files = inside.filter((path) => patterns.some((each) => matchesPattern(path.slice(folder.length), each)));
      return [split, ofOneKind(files)] as const;
    });
    return [name, new Map(matching.filter(([, files]) => files.length > 0))] as const;
  });
  return new Map(configs.flatMap(([name, splits]) => splits && splits.size > 0 ? [[name, splits] as const] : []));
}

function inFolder(paths: readonly string[], folder: string): SplitFiles | undefined {
  return byLayout(paths.map((path) => path.slice(folder.length)), (path) => folder + path).get("default");
}

/** The files on the branch that the hub makes from a dataset by itself: `CONFIG/SPLIT/0000.parquet`. */
export function convertedFiles(paths: readonly string[]): ConfigFiles {
  return grouped(paths.flatMap((path) => {
    const [, config, split] = /^([^/]+)\/([^/]+)\/\d+\.parquet$/.exec(path) ?? [];
    return config !== undefined && split !== undefined ? [{ config, split, path }] : [];
  }));
}

function byLayout(paths: readonly string[], whole = (path: string): string => path): ConfigFiles {
  return grouped(
    paths.filter(isTableName).flatMap((path) => {
      const place = placeOf(path);
      return place ? [{ ...place, path: whole(path) }] : [];
    }),
  );
}

const shard = /^(.+?)-\d+-of-\d+(?:-[0-9a-f]+)?$/;
const splitWord = /^((?:train|training|validation|valid|val|dev|test|testing|eval|evaluation)(?:_[a-z]+)*)[-_.]?\d*$/i;

function placeOf(path: string): { config: string; split: string } | undefined {
  const folders = path.replace(/\.[^./]+$/, "").split("/");
  const name = folders.pop() ?? "";
  let split = shard.exec(name)?.[1] ?? splitWord.exec(name)?.[1];
  if (split === undefined) {
    split = splitWord.exec(folders.pop() ?? "")?.[1];
    if (split === undefined) return undefined;
  }
  if (folders[0] === "data") folders.shift();
  return { config: folders.join("/") || "default", split };
}

function grouped(places: readonly { config: string; split: string; path: string }[]): ConfigFiles {
  const configs = new Map<string, Map<string, string[]>>();
  for (const { config, split, path } of places) {
    const splits = configs.get(config) ?? new Map<string, string[]>();
    configs.set(config, splits.set(split, [...splits.get(split) ?? [], path]));
  }
  for (const splits of configs.values()) {
    for (const [split, files] of splits) splits.set(split, ofOneKind(files));
  }
  return configs;
}

// The same rows may be there in several formats.
function ofOneKind(files: readonly string[]): string[] {
  const sorted = files.toSorted();
  for (const ending of [".parquet", ".jsonl", ".csv", ".tsv"]) {
    const some = sorted.filter((file) => file.toLowerCase().endsWith(ending));
    if (some.length > 0) return some;
  }
  return [];
}
