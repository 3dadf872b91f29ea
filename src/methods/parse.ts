// Reads what a method is called: selective, freeze and weight methods, joined by plus signs.

import { OptionError } from "../errors.ts";
import { nearestName } from "../options/nearest.ts";
import type { Method, WeightMethod } from "./contract.ts";
import { full } from "./full.ts";
import { weightMethods } from "./registry.ts";

const positions = "selective";
const extent = "freeze";

/** The words that a method's name is made of. */
export const methodWords: readonly string[] = [positions, extent, ...weightMethods.map(({ name }) => name)];

/**
 * The method of a name such as `selective+lora`: `selective` (k positions carry gradients; without it all do), `freeze`
 * (the lowest layers do not train), and weight methods that can be together, which are `full` unless others are named.
 *
 * @throws {OptionError} when a word is unknown, comes twice, or contradicts another
 */
export function parseMethod(text: string): Method {
  const words = text.split("+").map((word) => word.trim());
  const refuse = (reason: string): never => {
    throw new OptionError(
      `the method is ${JSON.stringify(text)}, but ${reason}; a method is one or more of ${methodWords.join(", ")}, ` +
        `joined as in selective+lora`,
    );
  };
  const unknown = words.find((word) => !methodWords.includes(word));
  if (unknown !== undefined) refuse(`${JSON.stringify(unknown)} is none that is known${suggestion(unknown)}`);
  const twice = words.find((word, index) => words.indexOf(word) < index);
  if (twice !== undefined) refuse(`${twice} comes twice`);
  const named = weightMethods.filter(({ name }) => words.includes(name));
  const contradiction = contradictionIn(named) ?? companyOf(named, words);
  if (contradiction !== undefined) refuse(contradiction);
  if (words.includes(extent) && named.includes(full)) refuse("with frozen layers it is not full");
  const weights = named.length > 0 ? named : [full];
  const [isSelective, isFrozen] = [words.includes(positions), words.includes(extent)];
  const parts = [...(isSelective ? [positions] : []), ...(isFrozen ? [extent] : [])];
  const isUnnamed = parts.length > 0 && weights.includes(full);
  const name = [...parts, ...(isUnnamed ? [] : weights.map(({ name }) => name))].join("+");
  return { name, isSelective, isFrozen, weights };
}

function suggestion(word: string): string {
  const near = nearestName(word, methodWords);
  return near === undefined ? "" : ` (did you mean ${near}?)`;
}

function contradictionIn(methods: readonly WeightMethod[]): string | undefined {
  for (const { name, excludes } of methods) {
    for (const other of methods) {
      const reason = excludes?.[other.name];
      if (reason !== undefined) return `${name} cannot be together with ${other.name}: ${reason}`;
      if (name !== other.name && name === full.name) {
        return `full cannot be together with ${other.name}: it trains every weight, so that nothing is left to ${other.name}`;
      }
    }
  }
  return undefined;
}

// What stands beside a method that stands alone.
function companyOf(methods: readonly WeightMethod[], words: readonly string[]): string | undefined {
  const alone = methods.find(({ standsAlone }) => standsAlone);
  if (alone === undefined) return undefined;
  const other = words.find((word) => word !== alone.name && word !== positions);
  return other && `${alone.name} cannot be together with ${other}: ${alone.standsAlone}`;
}
