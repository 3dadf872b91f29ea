// Applies a method to a model: from then on training changes what the method says.

import { OptionError } from "../errors.ts";
import type { Adaptation, Insertion } from "../models/adaptation.ts";
import type { Classifier } from "../models/classifier.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { derivedOf } from "../models/derivations.ts";
import { disposeModule, namedParameters, setTrained } from "../nn/module.ts";
import { checkGiven } from "../options/check.ts";
import { Generator, type Tensor } from "../torch/mod.ts";
import type { Method, OpenParts, WeightMethod } from "./contract.ts";
import { checkFreezeOptions, extentDeclarations, freezeDeclarations, partsAbove } from "./freeze.ts";
import { parseMethod } from "./parse.ts";
import { type MethodOptions, weightMethods } from "./registry.ts";

/**
 * Prepares a model for a method: says which parameters train, and puts in what the method adds. The head always trains.
 * The positions that carry gradients are {@linkcode train}'s option `k`.
 *
 * @param method a name such as `freeze+lora`, or what {@linkcode parseMethod} made of it
 * @throws {OptionError} when the name or an option cannot be, when an option is another method's, or when the model has
 * what a method put in already; the model is then as it was
 *
 * @example
 * ```ts ignore
 * using classifier = await loadClassifier("minilm", { target: { labels: ["ham", "spam"] } });
 * applyMethod(classifier, "lora", { loraR: 4 });
 * await train(classifier, { train: examples }, { k: 16 });
 * saveAdapter(classifier, "out/adapter");
 * ```
 */
export function applyMethod(classifier: Classifier, method: string | Method, options: MethodOptions = {}): void {
  const { isFrozen, weights } = checkMethod(method, options);
  const { model, adaptation } = classifier;
  if (adaptation !== null) {
    throw new OptionError(
      `the model has ${adaptation.methods.join("+")} already: merge it into its weights first (mergeAdapter)`,
    );
  }
  const { backbone, head } = model;
  const above = partsAbove(backbone, options);
  const trainsEmbeddings = !isFrozen && !options.freezeEmbeddings;
  const open = trainsEmbeddings ? { ...above, others: [backbone.embeddings, ...above.others] } : above;
  using random = new Generator(options.seed ?? 0, backbone.device);
  setTrained(model, false);
  setTrained(head, true);
  const insertions = insertAll(weights, open, options, random);
  if (weights.every(({ saves }) => saves === "model")) return;
  classifier.adaptation = {
    methods: weights.map(({ name }) => name),
    options: optionsOf(weights, options),
    trained: trainedBy(model, insertions),
    insertions,
  };
}

/**
 * The method, when it can be with these options; what is asked before anything is loaded.
 *
 * @throws {OptionError} as {@linkcode applyMethod}, for all that does not depend on the model
 */
export function checkMethod(method: string | Method, options: MethodOptions): Method {
  const checked = typeof method === "string" ? parseMethod(method) : method;
  refuseForeign(checked, options);
  if (checked.isFrozen) checkFreezeOptions(options);
  for (const weights of checked.weights) {
    checkGiven(weights.options, options);
    weights.check?.(filled(weights, options));
  }
  return checked;
}

/** What trains and is saved of a model into which this was put: in its tree, and beside it. */
export function trainedBy(model: SequenceClassifier, insertions: readonly Insertion[]): Adaptation["trained"] {
  const derived = new Set(derivedOf(insertions).flatMap(({ derivation }) => derivation.derived));
  const tree = namedParameters(model);
  const inTree = new Set(tree.values());
  const isTrained = (tensor: Tensor): boolean => tensor.requiresGrad && !derived.has(tensor);
  const beside = insertions.flatMap(({ module }) => [...namedParameters(module)]).filter(([, each]) =>
    !inTree.has(each)
  );
  return new Map([...tree, ...beside].filter(([, tensor]) => isTrained(tensor)));
}

// All of it or nothing.
function insertAll(
  methods: readonly WeightMethod[],
  open: OpenParts,
  options: MethodOptions,
  random: Generator,
): readonly Insertion[] {
  const insertions: Insertion[] = [];
  try {
    for (const method of methods) insertions.push(...method.apply(open, filled(method, options), random));
    return insertions;
  } catch (error) {
    for (const insertion of insertions) {
      insertion.detach();
      disposeModule(insertion.module);
    }
    throw error;
  }
}

// The options with the defaults of those that are not given.
function filled(method: WeightMethod, options: MethodOptions): MethodOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...method.defaults, ...Object.fromEntries(given) };
}

function optionsOf(methods: readonly WeightMethod[], options: MethodOptions): Adaptation["options"] {
  const known = Object.assign({ ...extentDeclarations }, ...methods.map(({ options }) => options));
  const values: MethodOptions = Object.assign({}, ...methods.map((method) => filled(method, options)));
  return Object.fromEntries(Object.entries(values).filter(([name]) => name in known));
}

function refuseForeign({ name, isFrozen, weights }: Method, options: MethodOptions): void {
  const owners = [...weightMethods, { name: "freeze", options: freezeDeclarations }];
  const present = new Set([...weights.map(({ name }) => name), ...(isFrozen ? ["freeze"] : [])]);
  const known = Object.assign({}, ...owners.filter(({ name }) => present.has(name)).map(({ options }) => options));
  for (const owner of owners) {
    for (const option of Object.keys(owner.options)) {
      const value = options[option as keyof MethodOptions];
      if (value !== undefined && !(option in known)) {
        throw new OptionError(`${option} is ${value}, but the method ${name} has none: that is for ${owner.name}`);
      }
    }
  }
}
