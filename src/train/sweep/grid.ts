// A grid of options: every combination of their values, and a name for each.

import { createHash } from "node:crypto";
import { basename, isAbsolute } from "node:path";
import { OptionError } from "../../errors.ts";
import type { TrainConfig } from "../config/options.ts";

// What runs are compared by has to be the same in all.
const notVaried = [
  ...["dev", "test", "dataset", "datasetRevision", "devSplit", "testSplit"] as const,
  ...["glue", "glueDir", "columns", "task", "bestMetric", "outputDir"] as const,
];

type Varied = Exclude<keyof TrainConfig, typeof notVaried[number]>;

/** For each option that varies, its values; the data that runs are evaluated on cannot vary. */
export type Grid = { readonly [Name in Varied]?: readonly Exclude<TrainConfig[Name], undefined>[] };

/** One value of each option that varies. */
export type Combination = Omit<TrainConfig, "outputDir">;

/** Every combination of a grid's values, the first option's varying slowest. */
export function combinations(grid: Grid): Combination[] {
  return Object.entries(grid).reduce<Record<string, unknown>[]>(
    (some, [name, values]) => some.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  );
}

/**
 * Refuses a grid without anything to vary, with an option that cannot, without a value, or with one twice.
 *
 * @param fixed the options that all runs share: none of them can vary
 * @throws {OptionError}
 */
export function checkGrid(grid: Grid, fixed: Readonly<Record<string, unknown>>): void {
  const entries: [string, readonly unknown[]][] = Object.entries(grid);
  if (entries.length === 0) throw new OptionError("the grid is empty: give an option and the values to try");
  for (const [name, values] of entries) {
    if (!canVary(name)) {
      throw new OptionError(`${name} cannot be in the grid: the runs of a sweep are compared on the same data`);
    }
    if (values.length === 0) throw new OptionError(`the grid has no value of ${name}: give some, or leave it out`);
    if (fixed[name] !== undefined) {
      throw new OptionError(`${name} is ${shown(fixed[name])} and in the grid as well: leave out one of the two`);
    }
    const texts = values.map(shown);
    const twice = texts.find((text, index) => texts.indexOf(text) < index);
    if (twice !== undefined) throw new OptionError(`the grid has the value ${twice} of ${name} twice: leave one out`);
  }
}

/** Whether an option can vary within a sweep. */
export function canVary(name: string): boolean {
  return !notVaried.some((other) => other === name);
}

const longest = 120;

/**
 * The name of a combination, which is a folder's as well: `learningRate=5e-5,seed=1`. Where it cannot hold the values
 * as they are, a part of their SHA-256 tells it from others.
 */
export function combinationName(combination: Combination): string {
  const name = Object.entries(combination).map(([option, value]) => `${option}=${shown(value)}`).join(",");
  const short = Object.entries(combination).map(([option, value]) => `${option}=${shown(lastName(value))}`).join(",");
  const safe = short.replaceAll(/[^\w.,=+-]+/g, "_").slice(0, longest);
  return safe === name ? name : `${safe}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}

function lastName(value: unknown): unknown {
  return typeof value === "string" && isAbsolute(value) ? basename(value) : value;
}

/** A value for a person: small numbers as `5e-5`, text as it is. */
export function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "number") return JSON.stringify(value);
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
}
