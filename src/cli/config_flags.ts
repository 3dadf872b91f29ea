// The flags that are made from the declared options of a training run, and what is read from them.

import { type CommandUnknownOpts, Option } from "npm:@commander-js/extra-typings@15.1.0";
import * as z from "npm:zod@4.6.7";
import { defaultOf, factsOf, withoutDefault } from "../options/values.ts";
import { optionGroups, runOptions, type TrainConfig } from "../train/config/options.ts";
import { presetNames } from "../train/presets.ts";
import { reader } from "./option_values.ts";

type Name = keyof TrainConfig;

/** All flags of a training run, under headings. */
export function allConfigFlags(): Option[] {
  return Object.entries(optionGroups).flatMap(([heading, group]) =>
    Object.entries(group).flatMap(([name, schema]) => flagsOf(name, schema))
      .map((flag) => flag.helpGroup(`${heading}:`))
  );
}

/** The flag of the preset, which is none of a configuration's options. */
export const presetFlag = new Option("--preset <name>", "a recipe, before which a file and flags count")
  .choices(presetNames);

/** The flags of some options. */
export function configFlags(...names: readonly Name[]): Option[] {
  return names.flatMap((name) => flagsOf(name, runOptions[name]));
}

/** What of a configuration a command line gives: nothing for a flag that is not there. */
export function givenConfig(command: CommandUnknownOpts): TrainConfig {
  const given = (name: string): unknown =>
    command.getOptionValueSource(name) === "cli" ? command.getOptionValue(name) : undefined;
  const entries = Object.entries(runOptions).map(([name, schema]) => {
    const columns = columnsOf(schema);
    if (!columns) return [name, given(name)];
    const some = Object.keys(columns).flatMap((key) => given(key) === undefined ? [] : [[key, given(key)]]);
    return [name, some.length > 0 ? Object.fromEntries(some) : undefined];
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

// An option that is an object has a flag for each of its keys.
function flagsOf(name: string, schema: z.ZodType): Option[] {
  const columns = columnsOf(schema);
  if (!columns) return [flagOf(name, schema, defaultOf(schema))];
  const values = Object(defaultOf(schema)) as Readonly<Record<string, unknown>>;
  return Object.entries(columns).map(([key, each]) => flagOf(key, each, values[key]));
}

function flagOf(name: string, schema: z.ZodType, value: unknown): Option {
  const bare = withoutDefault(schema);
  const flag = `--${kebabCase(name)}`;
  const description = bare.description ?? "";
  if (bare instanceof z.ZodBoolean) {
    return value === true
      ? new Option(`--no-${kebabCase(name)}`, `do not ${description}`)
      : new Option(flag, description);
  }
  const option = new Option(`${flag} <${factsOf(bare).placeholder}>`, description);
  if (value !== undefined) option.default(value, shown(value));
  return bare instanceof z.ZodEnum ? option.choices(bare.options.map(String)) : option.argParser(reader(bare));
}

function columnsOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  const bare = withoutDefault(schema);
  return bare instanceof z.ZodObject ? bare.shape : undefined;
}

/** The flag of an option, without its dashes. */
export function kebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function shown(value: unknown): string {
  return typeof value === "number" && value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : String(value);
}
