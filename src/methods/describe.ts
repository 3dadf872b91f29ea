// What each method is, what it can be told, and how many of a model's parameters it trains.

import { OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { namedParameters } from "../nn/module.ts";
import type { Shape } from "../options/check.ts";
import type { Device, Tensor } from "../torch/mod.ts";
import { applyMethod } from "./apply.ts";
import { compactForms, compactPart } from "./compact_form.ts";
import { freezeDeclarations } from "./freeze.ts";
import { type MethodOptions, weightMethods } from "./registry.ts";

/** A method, and what it trains of a model. */
export interface MethodDescription {
  readonly name: string;
  /** What it is, in one line. */
  readonly summary: string;
  /** Its options by name: what each is for, and its default. */
  readonly options: Readonly<Record<string, string>>;
  /**
   * Elements of the parameters that train, but for the head; null where that is another's affair, or the model too small
   * for the method's defaults.
   */
  readonly trainableParameters: number | null;
  /** Their part of the backbone's own. */
  readonly share: number | null;
  /**
   * Elements of what is saved after training, the head left out, and their bytes without the file's header. Of diff
   * pruning those that change, with their places; of masks the weights that they are of, a bit for each.
   */
  readonly savedParameters: number | null;
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
  const measure = (name: string, declarations: Shape): Measures => {
    const given = pick(options, declarations);
    try {
      return measureMethod(make, name, given, backbone ?? 0);
    } catch (error) {
      if (error instanceof OptionError && Object.keys(given).length === 0) return unknown;
      throw error;
    }
  };
  const methods = [
    { ...selective, ...unknown },
    { ...freeze, ...(options.freezeLayers === undefined ? unknown : measure("freeze", freezeDeclarations)) },
    ...weightMethods.map(({ name, summary, options: declarations }) => ({
      ...{ name, summary, options: describeOptions(declarations) },
      ...measure(name, declarations),
    })),
  ];
  return { backboneParameters: backbone ?? 0, headParameters: head ?? 0, methods };
}

// What joins with weight methods, and decides nothing of them.
const selective = {
  ...{ name: "selective", summary: "k positions of each text carry gradients (Simoulin et al. 2023)" },
  options: { k: "positions of each text that carry gradients (default: 16)" },
};
const freeze = {
  ...{ name: "freeze", summary: "the embeddings and the lowest layers do not train (Lee et al. 2019)" },
  options: describeOptions(freezeDeclarations),
};

type Measures = Pick<MethodDescription, "trainableParameters" | "share" | "savedParameters" | "savedBytes">;

const unknown: Measures = { trainableParameters: null, share: null, savedParameters: null, savedBytes: null };

function measureMethod(
  make: (device: Device) => Classifier,
  name: string,
  options: MethodOptions,
  backboneParameters: number,
): Measures {
  using classifier = make("meta");
  applyMethod(classifier, name, options);
  const headTensors = new Set(namedParameters(classifier.model.head).values());
  const trained = [...classifier.trained.values()].filter((tensor) => !headTensors.has(tensor));
  const trainableParameters = count(trained);
  return { trainableParameters, share: trainableParameters / backboneParameters, ...measureSaved(classifier, trained) };
}

function measureSaved(
  { model, adaptation }: Classifier,
  trained: readonly Tensor[],
): Pick<Measures, "savedParameters" | "savedBytes"> {
  const compact = adaptation ? compactForms(adaptation).map(({ extent }) => extent) : [];
  const others = new Set(compactPart(adaptation).values());
  const plain = adaptation
    ? trained.filter((tensor) => !others.has(tensor))
    : [...namedParameters(model.backbone).values()];
  return {
    savedParameters: compact.reduce((sum, { elements }) => sum + elements, count(plain)),
    savedBytes: [...plain.map(({ byteLength }) => byteLength), ...compact.map(({ bytes }) => bytes)]
      .reduce((sum, bytes) => sum + bytes, 0),
  };
}

function count(tensors: Iterable<Tensor>): number {
  return [...tensors].reduce((sum, { size }) => sum + size, 0);
}

function describeOptions(declarations: Shape): Record<string, string> {
  return Object.fromEntries(Object.entries(declarations).map(([name, schema]) => [name, schema.description ?? ""]));
}

function pick(options: MethodOptions, declarations: Shape): MethodOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name in declarations));
}
