// PEFT's `target_modules`: the linear maps that a method changed, by their last names or their whole keys.

import type { SequenceClassifier } from "../models/contract.ts";
import { namedLinears } from "../nn/linear.ts";

/** The last names of these linear maps of a model, when those mean no others, as PEFT finds them; else their keys. */
export function targetModules(model: SequenceClassifier, adapted: ReadonlyMap<string, unknown>): string[] {
  const lastName = (key: string): string => key.slice(key.lastIndexOf(".") + 1);
  const names = new Set(adapted.keys().map(lastName));
  const meant = namedLinears(model).keys().filter((key) => names.has(lastName(key)));
  return [...(meant.every((key) => adapted.has(key)) ? names : adapted.keys())];
}
