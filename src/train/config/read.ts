// Reads a configuration from a JSON or YAML file: what cannot be is refused with the file, the line, the option and the value.

import { dirname, extname } from "node:path";
import { type Document, isMap, isScalar, parseDocument } from "npm:yaml@2.9.1";
import { OptionError } from "../../errors.ts";
import { isObject, readTextUpTo } from "../../files/json_text.ts";
import { findRepeatedKey } from "../../files/repeated_key.ts";
import { plainly, quoteName, reasonOf, show } from "../../files/shown.ts";
import { faultOf } from "../../options/check.ts";
import { withoutDefault } from "../../options/values.ts";
import type { FineTuneOptions } from "../fine_tune.ts";
import { requireComplete } from "./layers.ts";
import { runOptions, type TrainConfig } from "./options.ts";
import { absolutePaths } from "./paths.ts";

const mostBytes = 2 ** 20;

/**
 * The options of a whole training run from a configuration file (.json, .yaml or .yml), for {@linkcode fineTune}. What
 * the file names by a relative path is looked for from the file's folder. A key `$schema` is for editors.
 *
 * @throws {OptionError} when the file cannot be read, an option is unknown or has a value that cannot be, or there is
 * no model or no folder to save to
 *
 * @example
 * ```ts ignore
 * await fineTune({ ...readConfig("mrpc.yaml"), seed: 1, outputDir: "out/mrpc-1" });
 * ```
 */
export function readConfig(path: string): FineTuneOptions {
  const config = readPartialConfig(path);
  try {
    return requireComplete(config);
  } catch (error) {
    return refuse(path, (error as Error).message);
  }
}

/** As {@linkcode readConfig}, of a file that may lack what others say. */
export function readPartialConfig(path: string): TrainConfig {
  const { value, lineOf } = parse(path);
  if (!isObject(value)) refuse(path, `it holds ${show(value)}, and has to hold options with their values`);
  const { $schema: _, ...options } = value;
  const fault = faultOf(runOptions, options);
  if (fault) refuse(path, fault.message, lineOf(fault.path));
  return absolutePaths(parsed(options), dirname(path));
}

/** What a file holds, and in which line what stands at a path of keys. */
interface Parsed {
  readonly value: unknown;
  readonly lineOf: (keys: readonly string[]) => number | undefined;
}

// A key that is a list or a map would have to be written out as a text: nested, that takes forever.
const yamlOptions = { schema: "core", stringKeys: true, prettyErrors: false } as const;

function parse(path: string): Parsed {
  const extension = extname(path).toLowerCase();
  if (![".json", ".yaml", ".yml"].includes(extension)) refuse(path, "a configuration is a .json, .yaml or .yml file");
  const text = readText(path);
  try {
    return extension === ".json" ? parseJson(path, text) : parseYaml(path, text);
  } catch (cause) {
    if (cause instanceof OptionError) throw cause;
    return refuse(path, `it cannot be read as ${extension.slice(1).toUpperCase()}: ${reasonOf(cause)}`);
  }
}

function parseJson(path: string, text: string): Parsed {
  const value: unknown = JSON.parse(text);
  const twice = findRepeatedKey(text);
  if (twice !== undefined) refuse(path, `the key ${quoteName(twice)} is there twice`);
  return { value, lineOf: (keys) => lineIn(text, keys) };
}

function parseYaml(path: string, text: string): Parsed {
  const document = parseDocument(text, yamlOptions);
  const [fault] = [...document.errors, ...document.warnings];
  if (fault) refuse(path, `it is no YAML that can be read: ${reasonOf(fault)}`, lineAt(text, fault.pos[0]));
  return { value: document.toJS(), lineOf: (keys) => lineIn(text, keys) };
}

// JSON is YAML as well, but for what is nested too deeply.
function lineIn(text: string, keys: readonly string[]): number | undefined {
  try {
    const offset = offsetOf(parseDocument(text, yamlOptions), keys);
    return offset === undefined ? undefined : lineAt(text, offset);
  } catch {
    return undefined;
  }
}

function offsetOf({ contents }: Document, keys: readonly string[]): number | undefined {
  let [node, offset]: [unknown, number | undefined] = [contents, undefined];
  for (const name of keys) {
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === name) : undefined;
    if (!pair || !isScalar(pair.key)) return offset;
    [node, offset] = [pair.value, pair.key.range?.[0]];
  }
  return offset;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function readText(path: string): string {
  try {
    return readTextUpTo(mostBytes, path);
  } catch (cause) {
    throw new OptionError((cause as Error).message, { cause });
  }
}

function refuse(path: string, reason: string, line?: number): never {
  throw new OptionError(`${plainly(path)}${line === undefined ? "" : `, line ${line}`}: ${reason}`);
}

// As the declarations make them, which have found nothing wrong.
function parsed(options: Readonly<Record<string, unknown>>): TrainConfig {
  const given = Object.entries(runOptions).filter(([name]) => Object.hasOwn(options, name));
  return Object.fromEntries(given.map(([name, schema]) => [name, withoutDefault(schema).parse(options[name])]));
}
