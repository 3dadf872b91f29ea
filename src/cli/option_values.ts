// The values of flags: each read from its text, or refused with what is allowed.

import { InvalidArgumentError } from "npm:@commander-js/extra-typings@15.1.0";
import type { SelectionSize } from "../selective/positions.ts";
import type { Device } from "../torch/mod.ts";

/** A reader of whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const allowed = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It has to be a whole number ${allowed}.`);
  };
}

/** A number above 0, such as `5e-5`. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("It has to be a number above 0, such as 5e-5.");
}

/** The number of positions that carry gradients: `16`, a share such as `0.25`, or `all`. */
export function selectionSize(text: string): SelectionSize {
  if (text === "all") return text;
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value > 0 && (value < 1 || Number.isSafeInteger(value))) return value;
  throw new InvalidArgumentError(
    "It has to be a whole number of at least 1, a share between 0 and 1 such as 0.25, or all.",
  );
}

/** A number of bytes: `2GiB`, `1400MiB`, or without a unit. */
export function byteCount(text: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB|)$/i.exec(text.trim()) ?? [];
  const bytes = Number(number) * 1024 ** ["", "kib", "mib", "gib"].indexOf(unit.toLowerCase());
  if (number !== "" && bytes > 0) return Math.floor(bytes);
  throw new InvalidArgumentError("It has to be a number of bytes above 0, such as 1400MiB or 2GiB.");
}

/** Names, separated by commas. */
export function nameList(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => name !== "")) return names;
  throw new InvalidArgumentError("It has to be names, separated by commas.");
}

/** A number of threads. */
export const threadCount: (text: string) => number = wholeNumber(1, 1024);

/** A seed: any 32 bits. */
export const seedNumber: (text: string) => number = wholeNumber(0, 2 ** 32 - 1);

/** A device's name. */
export function deviceName(text: string): Device {
  if (text === "cpu" || text === "cuda") return text;
  const index = /^cuda:(\d+)$/.exec(text)?.[1];
  if (index !== undefined) return `cuda:${Number(index)}`;
  throw new InvalidArgumentError("It has to be cpu, cuda or cuda:N.");
}

/** A folder's name. */
export function folderName(text: string): string {
  if (text.trim() !== "") return text;
  throw new InvalidArgumentError("It has to be the name of a folder.");
}
