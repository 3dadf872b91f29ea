// Where the examples of a fine-tuning run come from: table files, the splits of a dataset on the hub, or a task of GLUE.

import { readTable, type Table } from "../data/table.ts";
import { OptionError } from "../errors.ts";
import type { HubOptions } from "../hub/options.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import { type GlueReadOptions, type GlueSource, readGlueTables } from "./glue_data.ts";

/** The tables to train on, to evaluate on after each epoch, and to evaluate on at the end: files, or a dataset's splits. */
export interface TableSources extends GlueSource {
  /** Files. */
  readonly train?: string | undefined;
  readonly dev?: string | undefined;
  readonly test?: string | undefined;
  /** A dataset on the hub instead of files: `org/name` or `org/name:config`. */
  readonly dataset?: string | undefined;
  /** Default `train`. */
  readonly trainSplit?: string | undefined;
  /** Default: the first that the dataset has of `validation`, `validation_matched`, `dev`, `valid` and `val`. */
  readonly devSplit?: string | undefined;
  /** None unless given: on the hub, the labels of test splits are often hidden. */
  readonly testSplit?: string | undefined;
}

/** Something for each part of the data that there is. */
export type Parts<Value> = { train: Value; dev?: Value; devMismatched?: Value; test?: Value };

/**
 * Reads the tables.
 *
 * @param columns those that are needed
 * @throws {DataError} when one cannot be read, or the dataset lacks a split
 * @throws {HubError} when the dataset cannot be had
 * @throws {OptionError} when more than one of files, a dataset and a task of GLUE is given, or none
 */
export async function readTables(
  sources: TableSources,
  columns: readonly string[],
  { onNotice, ...hub }: GlueReadOptions,
): Promise<Parts<Table>> {
  if (sources.glue !== undefined || sources.glueDir !== undefined) {
    refuseBesideGlue(sources);
    return await readGlueTables(sources, { ...hub, onNotice });
  }
  if (sources.dataset !== undefined) return await readDataset(sources, sources.dataset, columns, hub);
  const { train, dev, test, datasetRevision, trainSplit, devSplit, testSplit } = sources;
  refuseStray(datasetRevision ?? trainSplit ?? devSplit ?? testSplit);
  if (train === undefined) {
    throw new OptionError(
      "there is nothing to train on: give a table (train), a dataset on the hub (dataset) or a task of GLUE (glue)",
    );
  }
  return {
    train: await readTable(train, { columns }),
    ...(dev !== undefined && { dev: await readTable(dev, { columns }) }),
    ...(test !== undefined && { test: await readTable(test, { columns }) }),
  };
}

function refuseBesideGlue({ glue, glueDir, train, dev, test, dataset, ...splits }: TableSources): void {
  const other = train ?? dev ?? test ?? dataset ?? splits.trainSplit ?? splits.devSplit ?? splits.testSplit;
  if (other !== undefined) {
    throw new OptionError(
      `GLUE's ${glue ?? glueDir} has its own train and dev, but ${JSON.stringify(other)} is given too: leave out one`,
    );
  }
}

function refuseStray(option: string | undefined): void {
  if (option !== undefined) {
    throw new OptionError(`${JSON.stringify(option)} says what of a dataset, but there is none: say which (dataset)`);
  }
}

const devSplits = ["validation", "validation_matched", "dev", "valid", "val"];

async function readDataset(
  sources: TableSources,
  name: string,
  columns: readonly string[],
  hub: Omit<HubOptions, "revision">,
): Promise<Parts<Table>> {
  const file = sources.train ?? sources.dev ?? sources.test;
  if (file !== undefined) throw new OptionError(bothGiven(file, name));
  const dataset = await openDataset(name, { ...hub, revision: sources.datasetRevision });
  const devSplit = sources.devSplit ?? devSplitOf(dataset);
  return {
    train: await dataset.readSplit(sources.trainSplit ?? "train", columns),
    ...(devSplit !== undefined && { dev: await dataset.readSplit(devSplit, columns) }),
    ...(sources.testSplit !== undefined && { test: await dataset.readSplit(sources.testSplit, columns) }),
  };
}

function devSplitOf({ splits }: Dataset): string | undefined {
  return devSplits.find((split) => splits.includes(split));
}

function bothGiven(file: string, dataset: string): string {
  return `the examples are in ${file} or in the dataset ${dataset}, not in both: leave out one of the two`;
}

/** One table to evaluate on: a file, or a split of a dataset on the hub. */
export interface TableSource extends Pick<TableSources, "dataset" | "datasetRevision"> {
  /** A file. */
  readonly data?: string | undefined;
  /** Default: as {@linkcode TableSources.devSplit}. */
  readonly split?: string | undefined;
}

/** Reads one table; throws as {@linkcode readTables}. */
export async function readTableFrom(
  { data, dataset: name, datasetRevision, split }: TableSource,
  columns: readonly string[],
  hub: Omit<HubOptions, "revision">,
): Promise<Table> {
  if (name === undefined) {
    refuseStray(datasetRevision ?? split);
    if (data === undefined) {
      throw new OptionError("there is nothing to evaluate on: give a table (data) or a dataset on the hub (dataset)");
    }
    return await readTable(data, { columns });
  }
  if (data !== undefined) throw new OptionError(bothGiven(data, name));
  const dataset = await openDataset(name, { ...hub, revision: datasetRevision });
  return await dataset.readSplit(split ?? devSplitOf(dataset) ?? "validation", columns);
}
