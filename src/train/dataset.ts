// A dataset on the hub as tables: its configuration, its splits, and each split's files read as one table.

import { convertedFiles, datasetFiles, type SplitFiles } from "../data/dataset_files.ts";
import { joinTables } from "../data/join_tables.ts";
import { type ClassNames, readTable, type Table } from "../data/table.ts";
import { DataError, HubError } from "../errors.ts";
import type { HubOptions } from "../hub/options.ts";
import { openRepository, type Repository } from "../hub/repository.ts";

/** One configuration of a dataset on the hub; made by {@linkcode openDataset}. */
export interface Dataset {
  /** `org/name`, or `org/name:config` where it has configurations. */
  readonly name: string;
  /** The commit that is read: 40 hexadecimal digits. */
  readonly commit: string;
  readonly splits: readonly string[];
  /**
   * Downloads a split's files unless the cache has them, and reads them as one table.
   *
   * @param columns those to read where the format is Parquet; default all
   * @throws {DataError} when there is no such split, or its files cannot be read
   * @throws {HubError} when they cannot be downloaded
   */
  readSplit(split: string, columns?: readonly string[]): Promise<Table>;
}

/**
 * Opens a dataset: `org/name`, or with a configuration `org/name:config`. Its files are those that its card names, else
 * those of the usual layouts, else those that the hub converted to Parquet.
 *
 * @throws {DataError} when it has no such configuration, or no tables
 * @throws {HubError} when there is no such dataset, or the hub cannot be asked
 */
export async function openDataset(reference: string, options: HubOptions = {}): Promise<Dataset> {
  const [, name = "", config] = /^([^:]*)(?::(.*))?$/s.exec(reference) ?? [];
  const found = await openRepository("dataset", name, options);
  const { readDatasetCard } = await import("../data/dataset_card.ts");
  const hasCard = found.paths.includes("README.md");
  const card = readDatasetCard(hasCard ? await Deno.readTextFile(await found.fetch("README.md")) : "", name);
  const own = datasetFiles(found.paths, card);
  const { repository, configs } = own.size > 0 || options.revision !== undefined
    ? { repository: found, configs: own }
    : await converted(found, options);
  if (configs.size === 0) throw new DataError(lackOfTables(name));
  const isDefault = [...card.configs].find(([, { isDefault }]) => isDefault)?.[0];
  const chosen = chooseConfig(name, [...configs.keys()], config ?? isDefault);
  const files = { repository, splits: configs.get(chosen) ?? new Map(), classNames: card.classNames.get(chosen) };
  return openSplits(configs.size === 1 && config === undefined ? name : `${name}:${chosen}`, files);
}

const convertedBranch = "refs/convert/parquet";

async function converted(
  { name }: Repository,
  options: HubOptions,
): Promise<{ repository: Repository; configs: ReadonlyMap<string, SplitFiles> }> {
  try {
    const repository = await openRepository("dataset", name, { ...options, revision: convertedBranch });
    return { repository, configs: convertedFiles(repository.paths) };
  } catch (cause) {
    if (!(cause instanceof HubError)) throw cause;
    throw new DataError(`${lackOfTables(name)}, and none that the hub converted: ${cause.message}`, { cause });
  }
}

function lackOfTables(name: string): string {
  return `${name} has no tables (.parquet, .jsonl, .csv or .tsv) that its card names or that lie where they usually do`;
}

function chooseConfig(name: string, configs: readonly string[], wanted: string | undefined): string {
  const [only = "", ...others] = configs;
  if (wanted === undefined) {
    if (others.length === 0) return only;
    if (configs.includes("default")) return "default";
    throw new DataError(`${name} has several configurations, say which (${name}:${only}): ${listed(configs)}`);
  }
  if (configs.includes(wanted)) return wanted;
  throw new DataError(`${name} has no configuration ${JSON.stringify(wanted)}, it has: ${listed(configs)}`);
}

interface Files {
  readonly repository: Repository;
  readonly splits: SplitFiles;
  readonly classNames: ClassNames | undefined;
}

function openSplits(name: string, { repository, splits, classNames }: Files): Dataset {
  const readSplit = async (split: string, columns?: readonly string[]): Promise<Table> => {
    const paths = splits.get(split);
    if (!paths) {
      throw new DataError(`${name} has no split ${JSON.stringify(split)}, it has: ${listed([...splits.keys()])}`);
    }
    requireAllParts(paths, `${name} (${split})`);
    const tables: Table[] = [];
    for (const path of paths) tables.push(await readTable(await repository.fetch(path), { columns, classNames }));
    return joinTables(tables, `${name} (${split})`);
  };
  return { name, commit: repository.commit, splits: [...splits.keys()], readSplit };
}

// Of a split in parts, such as train-00000-of-00002.parquet, the cache may have some alone.
function requireAllParts(paths: readonly string[], where: string): void {
  const announced = new Set(paths.flatMap((path) => /-of-(\d+)/.exec(path)?.[1] ?? []));
  const [count] = announced;
  if (announced.size === 1 && Number(count) !== paths.length) {
    throw new DataError(`${where} is in ${Number(count)} files, but only ${paths.length} are there: ${listed(paths)}`);
  }
}

function listed(names: readonly string[]): string {
  return names.length <= 40 ? names.join(", ") : `${names.slice(0, 40).join(", ")}, and ${names.length - 40} more`;
}
