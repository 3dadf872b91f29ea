// The flags that say which task of GLUE, and where its files are.

import { Option } from "npm:@commander-js/extra-typings@15.1.0";
import { glueTasks } from "../data/glue/tasks.ts";
import { OptionError } from "../errors.ts";
import { folderName } from "./option_values.ts";

/** The task. */
export const glue = new Option(
  "--glue <task>",
  `a task of GLUE: ${glueTasks.map(({ name }) => name).join(", ")} (default: that of the training)`,
);

/** Where its files are. */
export const glueDir = new Option("--glue-dir <dir>", "folder of GLUE's own files (default: the dataset on the hub)")
  .argParser(folderName);

/** Throws {@linkcode OptionError} when one of the options is given that a task of GLUE leaves nothing to say to. */
export function refuseBeside(options: Readonly<Record<string, unknown>>): void {
  const [name, value] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return;
  const flag = name === "texts"
    ? "the texts"
    : "--" + name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new OptionError(`a task of GLUE says itself what is read: leave out ${flag} (${String(value)})`);
}
