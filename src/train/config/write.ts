// The text of a run's configuration, from which the run can be made again.

import { type LooseTrainConfig, runOptions, type TrainConfig } from "./options.ts";
import { absolutePaths } from "./paths.ts";
import { resolve } from "./resolve.ts";

/** The name of the file in a run's folder. */
export const configName = "train_config.json";

/**
 * A run's options as {@linkcode readConfig} reads them: with all values that stand for what is not given, in the order
 * of the declaration, and with absolute paths.
 *
 * @throws {OptionError} when an option has a value that cannot be, or two contradict each other
 */
export function configText(options: LooseTrainConfig): string {
  const { settings } = resolve(options);
  const values = absolutePaths(settings, Deno.cwd());
  const names = Object.keys(runOptions) as (keyof TrainConfig)[];
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, values[name]])), null, 2) + "\n";
}
