// A run that goes on: the options that it began with, and those that may be others now.

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { OptionError } from "../../errors.ts";
import { plainly, show } from "../../files/shown.ts";
import { exists } from "../../native/cache.ts";
import { mergeConfigs } from "./layers.ts";
import { runOptions, type TrainConfig } from "./options.ts";
import { absolutePaths } from "./paths.ts";
import { readPartialConfig } from "./read.ts";
import { configName } from "./write.ts";

/** What may be another when a run goes on: it changes neither the weights nor the metrics. */
export const changeable: readonly (keyof TrainConfig)[] = [
  ...["activations", "memoryBudget", "tokenCache"] as const,
  ...["saveSteps", "saveMinutes", "keepCheckpoints", "logSteps", "tensorboard"] as const,
];

/**
 * The options with which the run in `folder` goes on.
 *
 * @param given what is said of it now, with relative paths from the working directory
 * @throws {OptionError} when there is no run, or it would become another one
 */
export async function resumedOptions(folder: string, given: TrainConfig): Promise<TrainConfig> {
  const path = join(folder, configName);
  if (!await exists(path)) {
    throw new OptionError(`there is no run in ${plainly(folder)} that could go on: it has no ${configName}`);
  }
  const begun = readPartialConfig(path);
  for (const [name, value] of differences(begun, absolutePaths(given, Deno.cwd()))) {
    refuse(folder, name, value, begun[name]);
  }
  return { ...mergeConfigs(begun, given), outputDir: folder };
}

/**
 * Refuses options with which the run in `folder` would become another one.
 *
 * @param config all of them, as {@linkcode configText} writes them
 * @throws {OptionError} which names the first that differs, and what it was
 */
export function refuseOtherConfig(folder: string, config: string): void {
  const begun = readPartialConfig(join(folder, configName));
  const now: TrainConfig = JSON.parse(config);
  const names = Object.keys(runOptions) as (keyof TrainConfig)[];
  const kept = names.filter((name) => name !== "outputDir" && !changeable.includes(name));
  const other = kept.find((name) => !isDeepStrictEqual(now[name], begun[name]));
  if (other !== undefined) refuse(folder, other, now[other], begun[other]);
}

function refuse(folder: string, name: string, value: unknown, begun: unknown): never {
  const before = begun === undefined ? "without it" : `with ${show(begun)}`;
  throw new OptionError(
    `${name} is ${show(value)}, but the run in ${plainly(folder)} began ${before}, and goes on as it began: ` +
      `leave ${name} out`,
  );
}

function differences(begun: TrainConfig, given: TrainConfig): [keyof TrainConfig, unknown][] {
  const { columns } = mergeConfigs(begun, given);
  const entries = Object.entries({ ...given, ...(given.columns && { columns }) }) as [keyof TrainConfig, unknown][];
  return entries.filter(([name, value]) => !changeable.includes(name) && !isDeepStrictEqual(value, begun[name]));
}
