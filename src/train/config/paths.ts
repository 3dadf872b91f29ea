// The places that a configuration names, wherever it is read again.

import { resolve } from "node:path";
import { exists } from "../../files/presence.ts";
import { factsOf } from "../../options/values.ts";
import { runOptions, type TrainConfig } from "./options.ts";

/** The configuration with absolute paths: a relative one leads from `folder`. A name on the hub stays as it is. */
export function absolutePaths(config: TrainConfig, folder: string): TrainConfig {
  const entries = Object.entries(config).map(([name, value]) => [
    name,
    typeof value === "string" && isPlace(name, resolve(folder, value)) ? resolve(folder, value) : value,
  ]);
  return Object.fromEntries(entries);
}

function isPlace(option: string, path: string): boolean {
  const { path: kind } = factsOf(runOptions[option as keyof typeof runOptions]);
  return kind === "always" || kind === "where it exists" && exists(path);
}
