// Reads what a method is called: selective, freeze and a weight method, joined by plus signs.

import { OptionError } from "../errors.ts";
import type { Method } from "./contract.ts";
import { full } from "./full.ts";
import { type MethodOptions, weightMethods } from "./registry.ts";

const positions = "selective";
const extent = "freeze";

/** The words that a method's name is made of. */
export const methodWords: readonly string[] = [positions, extent, ...weightMethods.map(({ name }) => name)];

/**
 * The method of a name such as `selective+lora`: `selective` (k positions carry gradients; without it all do), `freeze`
 * (the lowest layers do not train), and one weight method, which is `full` unless another is named.
 *
 * @throws {OptionError} when a word is unknown, comes twice, or contradicts another
 */
export function parseMethod(text: string): Method<MethodOptions> {
  const words = text.split("+").map((word) => word.trim());
  const refuse = (reason: string): never => {
    throw new OptionError(
      `the method is ${JSON.stringify(text)}, but ${reason}; a method is one or more of ${methodWords.join(", ")}, ` +
        `joined as in selective+lora`,
    );
  };
  const unknown = words.find((word) => !methodWords.includes(word));
  if (unknown !== undefined) refuse(`${JSON.stringify(unknown)} is none that is known`);
  const twice = words.find((word, index) => words.indexOf(word) < index);
  if (twice !== undefined) refuse(`${twice} comes twice`);
  const [weights = full, second] = weightMethods.filter(({ name }) => words.includes(name));
  if (second) refuse(`${weights.name} and ${second.name} contradict each other`);
  if (words.includes(extent) && words.includes(full.name)) refuse("with frozen layers it is not full");
  const [isSelective, isFrozen] = [words.includes(positions), words.includes(extent)];
  const parts = [...(isSelective ? [positions] : []), ...(isFrozen ? [extent] : [])];
  const name = parts.length > 0 && weights === full ? parts : [...parts, weights.name];
  return { name: name.join("+"), isSelective, isFrozen, weights };
}
