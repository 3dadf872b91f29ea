// Class weights: how much the examples of each label count in the loss.

import { OptionError } from "../errors.ts";

/** Weights that make every label count the same in all, or the weight of each label by its name. */
export type ClassWeights = "balanced" | Readonly<Record<string, number>>;

/** Throws {@linkcode OptionError} unless each weight is a number above 0. */
export function checkClassWeights(weights: ClassWeights): void {
  if (weights === "balanced") return;
  if (typeof weights !== "object" || weights === null || Array.isArray(weights)) {
    throw new OptionError(
      `the class weights are ${JSON.stringify(weights)}, they have to be "balanced" or a weight for each label`,
    );
  }
  for (const [name, weight] of Object.entries(weights)) {
    if (typeof weight === "number" && weight > 0 && Number.isFinite(weight)) continue;
    throw new OptionError(`the class weight of ${JSON.stringify(name)} is ${weight}, it has to be above 0`);
  }
}

/**
 * The weight of each label by its id, as scikit-learn's `compute_class_weight` gives them. `balanced`: the number of
 * examples, divided by that of the labels that occur and by that of the label's examples (King and Zeng 2001). A label
 * without a weight or an example counts once.
 *
 * @param names the labels in the order of their ids
 * @param labels the ids of the training examples
 * @throws {OptionError} when a weight is given for what is no label
 */
export function classWeightsById(
  weights: ClassWeights,
  names: readonly string[],
  labels: readonly number[],
): number[] {
  if (weights === "balanced") return balancedWeights(names.length, labels);
  const unknown = Object.keys(weights).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new OptionError(
      `a class weight is given for ${JSON.stringify(unknown)}, the labels are ${names.join(", ")}`,
    );
  }
  return names.map((name) => weights[name] ?? 1);
}

function balancedWeights(classes: number, labels: readonly number[]): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  const occurring = counts.filter((count) => count > 0).length;
  return counts.map((count) => count > 0 ? labels.length / (occurring * count) : 1);
}
