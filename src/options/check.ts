// Holds options to their declarations: what cannot be is refused in one line that names the option and the value.

import * as z from "npm:zod@4.6.7";
import { OptionError } from "../errors.ts";
import { quoteName, show } from "../files/shown.ts";
import { nearestName } from "./nearest.ts";
import { factsOf, withoutDefault } from "./values.ts";

/** Declared options by their names. */
export type Shape = Readonly<Record<string, z.ZodType>>;

/** What is wrong with an option, and where it stands. */
export interface Fault {
  /** The option's name, after the name of the object that it is in. */
  readonly path: readonly string[];
  /** One line. */
  readonly message: string;
}

/** Holds the value of one option to its declaration. Throws {@linkcode OptionError} when it cannot be. */
export function checkValue(name: string, schema: z.ZodType, value: unknown): void {
  const fault = faultOfValue([name], schema, value);
  if (fault) throw new OptionError(fault.message);
}

/** Holds those options that are given to their declarations. Throws {@linkcode OptionError} for the first that cannot be. */
export function checkGiven(shape: Shape, options: object): void {
  for (const [name, schema] of Object.entries(shape)) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined) checkValue(name, schema, value);
  }
}

/** The first thing that is wrong with options of which nothing is known yet; undefined where all is well. */
export function faultOf(shape: Shape, options: object, within: readonly string[] = []): Fault | undefined {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const path = [...within, name];
    const schema = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const fault = schema ? faultOfValue(path, schema, value) : { path, message: unknown(path, Object.keys(shape)) };
    if (fault) return fault;
  }
  return undefined;
}

function faultOfValue(path: readonly string[], schema: z.ZodType, value: unknown): Fault | undefined {
  const bare = withoutDefault(schema);
  if (bare instanceof z.ZodObject && typeof value === "object" && value !== null && !Array.isArray(value)) {
    return faultOf(bare.shape, value, path);
  }
  if (bare.safeParse(value).success && !hasPrototypeKey(value)) return undefined;
  return { path, message: `${path.join(".")} is ${shown(value)}, it has to be ${factsOf(bare).allowed}` };
}

// JSON can hold such a key, and zod leaves it out of what it judges.
function hasPrototypeKey(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__");
}

function unknown(path: readonly string[], names: readonly string[]): string {
  const [within, name] = [path.slice(0, -1), path.at(-1) ?? ""];
  const inFull = (each: string): string => [...within, each].join(".");
  const near = nearestName(name, names);
  if (near !== undefined) return `there is no option ${quoteName(inFull(name))}: did you mean ${inFull(near)}?`;
  const known = names.length <= 8 ? `: there are ${names.map(inFull).join(", ")}` : "";
  return `there is no option ${quoteName(inFull(name))}${known}`;
}

function shown(value: unknown): string {
  return typeof value === "number" ? String(value) : show(value);
}
