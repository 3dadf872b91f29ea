// Configurations on top of each other: what a later one says counts.

import { OptionError } from "../../errors.ts";
import type { FineTuneOptions } from "../fine_tune.ts";
import type { TrainConfig } from "./options.ts";

// Who says one of them takes back what was said of the other before.
const alternatives: readonly (readonly [keyof TrainConfig, keyof TrainConfig])[] = [
  ["warmupRatio", "warmupSteps"],
  ["warmupSteps", "warmupRatio"],
];

/**
 * One configuration of several, of which each counts before those that come earlier; the columns one by one. Who says a
 * method that is not selective takes back the k of one before.
 */
export function mergeConfigs(...configs: readonly TrainConfig[]): TrainConfig {
  return configs.reduce((below, above) => {
    const dropped = alternatives.flatMap(([said, other]) => above[said] === undefined ? [] : [other]);
    if (above.method !== undefined && !above.method.includes("selective")) dropped.push("k");
    const kept = Object.fromEntries(Object.entries(below).filter(([name]) => !dropped.some((each) => each === name)));
    const columns = { ...below.columns, ...above.columns };
    return { ...kept, ...above, ...(Object.keys(columns).length > 0 && { columns }) };
  }, {});
}

/**
 * The configuration as options for {@linkcode fineTune}.
 *
 * @param names what a message calls what is missing
 * @throws {OptionError} when it lacks the model or the folder to save to
 */
export function requireComplete(
  config: TrainConfig,
  names = { model: "model", outputDir: "outputDir" },
): FineTuneOptions {
  const { model, outputDir } = config;
  if (model === undefined) {
    throw new OptionError(`there is no model to fine-tune: give its folder, or its name on the hub (${names.model})`);
  }
  if (outputDir === undefined) {
    throw new OptionError(`there is no folder to save to: give the name of a new one (${names.outputDir})`);
  }
  return { ...config, model, outputDir };
}
