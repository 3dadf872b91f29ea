// The values of flags: each read from its text as its declaration allows, or refused with what is allowed.

import type * as z from "npm:zod@4.6.7";
import { InvalidArgumentError } from "npm:@commander-js/extra-typings@15.1.0";
import * as values from "../options/values.ts";
import { runOptions } from "../train/config/options.ts";

/**
 * A reader of what a declaration allows: the text itself, else the number that it is, or the list, or the numbers by
 * name (`spam=2,ham=1`), whichever of them is allowed.
 */
export function reader<Value>(schema: z.ZodType<Value>): (text: string) => Value {
  const bare = values.withoutDefault(schema) as z.ZodType<Value>;
  return (text) => {
    for (const reading of readings(text)) {
      const result = bare.safeParse(reading);
      if (result.success) return result.data;
    }
    throw new InvalidArgumentError(`It has to be ${values.factsOf(schema).allowed}.`);
  };
}

function readings(text: string): unknown[] {
  const parts = text.split(",").map((part) => part.trim());
  const pairs = parts.map((part) => /^(.*)=([^=]*)$/s.exec(part)?.slice(1) ?? [part]);
  const named = pairs.every(([, number]) => number !== undefined);
  return [
    ...[text, numberOf(text), parts, parts.map(numberOf)],
    ...(named
      ? [Object.fromEntries(pairs.map(([name = "", number = ""]) => [name.trim(), numberOf(number.trim())]))]
      : []),
  ];
}

// What JavaScript reads as numbers besides, such as "" and "0x10", is none.
function numberOf(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
}

/** A reader of whole numbers from `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return reader(values.wholeNumber({ least }));
}

/** Names, separated by commas. */
export const nameList: (text: string) => readonly string[] = reader(values.nameList());

/** A number of threads. */
export const threadCount = reader(runOptions.threads);

/** A device's name. */
export const deviceName = reader(runOptions.device);

/** A folder's name. */
export const folderName: (text: string) => string = reader(values.folderName());
