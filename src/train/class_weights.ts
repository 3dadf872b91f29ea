// Class weights: how much the examples of each label count in the loss.

import { OptionError } from "../errors.ts";

/** Weights that make every label count the same in all, or the weight of each label by its name. */
export type ClassWeights = "balanced" | Readonly<Record<string, number>>;

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
