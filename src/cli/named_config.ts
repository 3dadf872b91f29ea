// The option --config of commands that make a model with random weights: a size by name, or a config.json.

import { OptionError } from "../errors.ts";
import { type ModelConfig, modelConfigs } from "../experiments/model_configs.ts";
import { readJsonObject } from "../models/config.ts";

/** What --config can be, for a help text. */
export const configChoices = `${Object.keys(modelConfigs).join(", ")}, or a config.json`;

/** The configuration of a name or of a file. Throws {@linkcode OptionError} when it is neither. */
export function namedConfig(name: string): ModelConfig {
  if (Object.hasOwn(modelConfigs, name)) return modelConfigs[name] ?? {};
  if (isFile(name)) return readJsonObject(name);
  const known = Object.keys(modelConfigs).join(", ");
  throw new OptionError(`the configuration ${JSON.stringify(name)} is not known and no file: known are ${known}`);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
