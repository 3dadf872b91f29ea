// A grid of options: every combination of their values, and a name for each.

import { createHash } from "node:crypto";
import { OptionError } from "../../errors.ts";
import type { FineTuneOptions } from "../fine_tune.ts";

// What a run is compared by has to be the same in all.
const compared = [
  ...["dev", "test", "dataset", "datasetRevision", "devSplit", "testSplit", "columns", "task"] as const,
];
const own = ["outputDir", "signal", "onEvent", "onSetup"] as const;

type NotVaried = typeof compared[number] | typeof own[number];

/** For each option that varies, its values; what runs are evaluated on cannot vary. */
export type Grid = {
  readonly [Name in Exclude<keyof FineTuneOptions, NotVaried>]?: readonly Exclude<FineTuneOptions[Name], undefined>[];
};

/** One value of each option that varies. */
export type Combination = Readonly<Record<string, unknown>>;

/** Every combination of a grid's values, the first option's varying slowest. */
export function combinations(grid: Grid): Combination[] {
  return Object.entries(grid).reduce<Combination[]>(
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

function canVary(name: string): boolean {
  return ![...compared, ...own].some((other) => other === name);
}

const longest = 120;

/**
 * The name of a combination, which is a folder's as well: `learningRate=5e-5,seed=1`. Where it cannot hold the values
 * as they are, a part of their SHA-256 tells it from others.
 */
export function combinationName(combination: Combination): string {
  const name = Object.entries(combination).map(([option, value]) => `${option}=${shown(value)}`).join(",");
  const safe = name.replaceAll(/[^\w.,=+-]+/g, "_").slice(0, longest);
  return safe === name ? name : `${safe}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}

/** A value for a person: small numbers as `5e-5`, text as it is. */
export function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "number") return JSON.stringify(value);
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
}
