// What each method is, what it can be told, and how many of a model's parameters it trains.

import type { Classifier } from "../models/classifier.ts";
import { namedParameters } from "../nn/module.ts";
import type { Shape } from "../options/check.ts";
import type { Device, Tensor } from "../torch/mod.ts";
import { applyMethod } from "./apply.ts";
import { freezeDeclarations } from "./freeze.ts";
import { type MethodOptions, weightMethods } from "./registry.ts";

/** A method, and what it trains of a model. */
export interface MethodDescription {
  readonly name: string;
  /** What it is, in one line. */
  readonly summary: string;
  /** Its options by name: what each is for, and its default. */
  readonly options: Readonly<Record<string, string>>;
  /** Elements of the parameters that train, but for the head; null where that is another's affair. */
  readonly trainableParameters: number | null;
  /** Their part of the backbone's own. */
  readonly share: number | null;
  /**
   * Bytes of what is saved after training, the head and its file's header left out; null where what is saved is of fewer
   * bytes than what trains.
   */
  readonly savedBytes: number | null;
}

/** The methods, and the model that they are of. */
export interface MethodTable {
  /** Elements of the backbone's parameters, and of the head's, which train with every method. */
  readonly backboneParameters: number;
  readonly headParameters: number;
  readonly methods: readonly MethodDescription[];
}

/**
 * Lists every method with what it trains of a model: exact counts, for which no weight is made.
 *
 * @param make makes the model, on the device that it is given, `meta`
 * @param options of the methods, which else have their defaults
 * @throws {OptionError} when an option has a value that cannot be
 *
 * @example
 * ```ts ignore
 * const { methods } = describeMethods((device) => randomClassifier(config, { target: "regression", device }));
 * console.log(methods.find(({ name }) => name === "lora")?.trainableParameters);
 * ```
 */
export function describeMethods(make: (device: Device) => Classifier, options: MethodOptions = {}): MethodTable {
  using plain = make("meta");
  const [backbone, head] = [plain.model.backbone, plain.model.head].map((part) =>
    count(namedParameters(part).values())
  );
  const size = backbone ?? 0;
  const ofWeights = weightMethods.map((method) => {
    using classifier = make("meta");
    applyMethod(classifier, method.name, pick(options, method.options));
    const headTensors = new Set(namedParameters(classifier.model.head).values());
    const trained = [...classifier.trained.values()].filter((tensor) => !headTensors.has(tensor));
    const isCompact = classifier.adaptation?.insertions.some(({ compactForm }) => compactForm) ?? false;
    const saved = method.saves === "model" ? [...namedParameters(classifier.model.backbone).values()] : trained;
    return {
      ...{ name: method.name, summary: method.summary, options: describeOptions(method.options) },
      ...{ trainableParameters: count(trained), share: count(trained) / size },
      savedBytes: isCompact ? null : saved.reduce((sum, { byteLength }) => sum + byteLength, 0),
    };
  });
  return { backboneParameters: size, headParameters: head ?? 0, methods: [...others, ...ofWeights] };
}

const unknown = { trainableParameters: null, share: null, savedBytes: null };

// What joins with weight methods, and decides nothing of them.
const others: readonly MethodDescription[] = [
  {
    ...{ name: "selective", summary: "k positions of each text carry gradients (Simoulin et al. 2023)", ...unknown },
    options: { k: "positions of each text that carry gradients (default: 16)" },
  },
  {
    ...{ name: "freeze", summary: "the embeddings and the lowest layers do not train (Lee et al. 2019)", ...unknown },
    options: describeOptions(freezeDeclarations),
  },
];

function count(tensors: Iterable<Tensor>): number {
  return [...tensors].reduce((sum, { size }) => sum + size, 0);
}

function describeOptions(declarations: Shape): Record<string, string> {
  return Object.fromEntries(Object.entries(declarations).map(([name, schema]) => [name, schema.description ?? ""]));
}

function pick(options: MethodOptions, declarations: Shape): MethodOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name in declarations));
}
