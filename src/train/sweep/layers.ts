// What a preset, a file and the command line say of a sweep, on top of each other: what a later one says counts.

import { dirname } from "node:path";
import { isObject } from "../../files/json_text.ts";
import { show } from "../../files/shown.ts";
import { faultOf } from "../../options/check.ts";
import { withoutDefault } from "../../options/values.ts";
import { mergeConfigs } from "../config/layers.ts";
import { runOptions, type TrainConfig } from "../config/options.ts";
import { absolutePaths } from "../config/paths.ts";
import { checkedConfig, type ConfigFile, openConfigFile } from "../config/read.ts";
import type { Grid } from "./grid.ts";

/** Options that all runs share, and values of those that vary. */
export interface SweepLayer {
  readonly options: TrainConfig;
  readonly grid: Grid;
}

/** The layers as one. An option that a later layer says counts instead of values before, and the other way round. */
export function mergeLayers(...layers: readonly SweepLayer[]): SweepLayer {
  return layers.reduce((below, above) => ({
    options: mergeConfigs(without(below.options, above.grid), above.options),
    grid: { ...without(below.grid, above.options), ...above.grid },
  }));
}

function without<Some extends object>(some: Some, others: object): Some {
  return Object.fromEntries(Object.entries(some).filter(([name]) => !Object.hasOwn(others, name))) as Some;
}

/**
 * Reads a configuration file that may have a key `grid`, with a list of values for each option that varies.
 *
 * @throws {OptionError} as {@linkcode readConfig}
 */
export function readSweepFile(path: string): SweepLayer {
  const file = openConfigFile(path);
  const { grid = {}, ...options } = file.options;
  if (!isObject(grid)) {
    return file.refuse({ path: ["grid"], message: `grid is ${show(grid)}, it has to be options with lists of values` });
  }
  const values = Object.entries(grid).map(([name, list]) => [name, checkedValues(name, list, file.refuse)] as const);
  const folder = dirname(path);
  return {
    options: checkedConfig(path, options, file.refuse),
    grid: absoluteGrid(Object.fromEntries(values) as Grid, folder),
  };
}

function checkedValues(name: string, values: unknown, refuse: ConfigFile["refuse"]): unknown[] {
  if (!Array.isArray(values)) {
    return refuse({ path: ["grid", name], message: `grid.${name} is ${show(values)}, it has to be a list of values` });
  }
  return values.map((value: unknown) => {
    const fault = faultOf(runOptions, { [name]: value }, ["grid"]);
    return fault ? refuse(fault) : withoutDefault(runOptions[name as keyof typeof runOptions]).parse(value);
  });
}

/** The grid with absolute paths: a relative one leads from `folder`. */
export function absoluteGrid(grid: Grid, folder: string): Grid {
  const entries: [string, readonly unknown[]][] = Object.entries(grid);
  return Object.fromEntries(entries.map(([name, values]) => [
    name,
    values.map((value) => absolutePaths({ [name]: value }, folder)[name as keyof Grid]),
  ]));
}
