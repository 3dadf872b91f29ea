// Applies a method to a model: from then on training changes what the method says.

import { OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { adaptedLinears } from "../nn/linear.ts";
import { setTrained } from "../nn/module.ts";
import { Generator } from "../torch/mod.ts";
import type { Method } from "./contract.ts";
import { checkFreezeOptions, freezeOptionNames, partsAbove } from "./freeze.ts";
import { parseMethod } from "./parse.ts";
import { type MethodOptions, weightMethods } from "./registry.ts";

/**
 * Prepares a model for a method: says which parameters train, and puts in what the method adds. The head always trains.
 * The positions that carry gradients are {@linkcode train}'s option `k`.
 *
 * @param method a name such as `freeze+lora`, or what {@linkcode parseMethod} made of it
 * @throws {OptionError} when the name or an option cannot be, when an option is another method's, or when the model has
 * adapters already
 *
 * @example
 * ```ts ignore
 * using classifier = await loadClassifier("minilm", { target: { labels: ["ham", "spam"] } });
 * applyMethod(classifier, "lora", { loraRank: 4 });
 * await train(classifier, { train: examples }, { k: 16 });
 * saveAdapter(classifier, "out/adapter");
 * ```
 */
export function applyMethod(
  { model }: Classifier,
  method: string | Method<MethodOptions>,
  options: MethodOptions = {},
): void {
  const { isFrozen, weights } = checkMethod(method, options);
  if (adaptedLinears(model).size > 0) {
    throw new OptionError("the model has LoRA adapters already: merge them into its weights first (mergeLora)");
  }
  const { backbone, head } = model;
  const above = partsAbove(backbone, options);
  const trainsEmbeddings = !isFrozen && !options.freezeEmbeddings;
  const open = trainsEmbeddings ? { ...above, others: [backbone.embeddings, ...above.others] } : above;
  using random = new Generator(options.seed ?? 0, backbone.device);
  setTrained(model, false);
  setTrained(head, true);
  weights.apply(open, options, random);
}

/**
 * The method, when it can be with these options; what is asked before anything is loaded.
 *
 * @throws {OptionError} as {@linkcode applyMethod}, for all that does not depend on the model
 */
export function checkMethod(method: string | Method<MethodOptions>, options: MethodOptions): Method<MethodOptions> {
  const checked = typeof method === "string" ? parseMethod(method) : method;
  refuseForeign(checked, options);
  if (checked.isFrozen) checkFreezeOptions(options);
  checked.weights.check(options);
  return checked;
}

function refuseForeign({ name, isFrozen, weights }: Method<MethodOptions>, options: MethodOptions): void {
  const owners = [...weightMethods, { name: "freeze", options: freezeOptionNames }];
  for (const owner of owners) {
    if (owner.name === weights.name || (owner.name === "freeze" && isFrozen)) continue;
    for (const [option, called] of Object.entries(owner.options)) {
      const value = options[option as keyof MethodOptions];
      if (value !== undefined) {
        throw new OptionError(`${called} is ${value}, but the method ${name} has none: that is for ${owner.name}`);
      }
    }
  }
}
