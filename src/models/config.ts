// Reads a checkpoint's config.json: each field checked as it is asked for.

import { CheckpointError } from "../errors.ts";
import { type Activation, activation } from "../nn/activation.ts";
import { isObject, readTextUpTo } from "../files/json_text.ts";
import { reasonOf, show } from "../files/shown.ts";

// No model has more, and the size of a tensor of two such dimensions can still be counted.
const maxCount = 2 ** 28;
const maxLayers = 1000;
const maxLabels = 100_000;

/** `model_type` of a model whose head no published class has; the architecture's own is in the field `fewtune`. */
export const ownModelType = "fewtune";

/** The fields of a config.json; a field that is missing or of the wrong kind is a {@linkcode CheckpointError}. */
export class ConfigReader {
  constructor(readonly path: string, readonly fields: Readonly<Record<string, unknown>>) {}

  /** A whole number of at least 1. */
  count(name: string, fallback?: number): number {
    return this.#countUpTo(maxCount, name, fallback);
  }

  /** The number of layers, which are made one by one. */
  layerCount(name: string): number {
    return this.#countUpTo(maxLayers, name);
  }

  /** The number of labels that have no names. */
  labelCount(fallback: number): number {
    return this.#countUpTo(maxLabels, "num_labels", fallback);
  }

  #countUpTo(most: number, name: string, fallback?: number): number {
    const value = this.fields[name] ?? fallback;
    if (typeof value === "number" && Number.isInteger(value) && value > 0 && value <= most) return value;
    throw this.#unfit(name, typeof value === "number" && value > most ? `at most ${most}` : "a whole number above 0");
  }

  /** A whole number of at least 1 that divides the one called `multiple`. */
  divisor(name: string, multiple: string): number {
    const [value, whole] = [this.count(name), this.count(multiple)];
    if (whole % value === 0) return value;
    throw new CheckpointError(`${this.path}: ${multiple} ${whole} is no multiple of ${name} ${value}`);
  }

  /** The id of a token in the vocabulary. */
  tokenId(name: string, fallback: number): number {
    const [value, vocabSize] = [this.number(name, fallback), this.count("vocab_size")];
    if (Number.isInteger(value) && value >= 0 && value < vocabSize) return value;
    throw this.#unfit(name, `a token's id below vocab_size, which is ${vocabSize}`);
  }

  number(name: string, fallback: number): number {
    const value = this.fields[name] ?? fallback;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.#unfit(name, "a number");
  }

  probability(name: string, fallback: number): number {
    const value = this.number(name, fallback);
    if (value >= 0 && value < 1) return value;
    throw this.#unfit(name, "at least 0 and below 1");
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.fields[name] ?? fallback;
    if (typeof value === "boolean") return value;
    throw this.#unfit(name, "true or false");
  }

  text(name: string, fallback?: string): string {
    const value = this.fields[name] ?? fallback;
    if (typeof value === "string") return value;
    throw this.#unfit(name, "text");
  }

  /** The architecture's name. A model with a head of Fewtune's own keeps it in the field `fewtune`. */
  modelType(): string {
    const name = this.text("model_type");
    if (name !== ownModelType) return name;
    const { model_type: base } = Object(this.fields["fewtune"]) as { readonly model_type?: unknown };
    if (typeof base === "string") return base;
    throw new CheckpointError(`${this.path}: model_type is "fewtune", but fewtune.model_type names no architecture`);
  }

  /** Refuses other values of fields than these, which they also have when they are missing. */
  only(supported: Readonly<Record<string, string | number | boolean>>): void {
    for (const [name, value] of Object.entries(supported)) {
      const found = this.fields[name] ?? value;
      if (found === value) continue;
      throw new CheckpointError(`${this.path}: ${name} ${show(found)} is not supported, only ${show(value)} is`);
    }
  }

  activation(name: string, fallback: string): Activation {
    const value = this.text(name, fallback);
    try {
      return activation(value);
    } catch (cause) {
      throw new CheckpointError(`${this.path}: ${reasonOf(cause)}`, { cause });
    }
  }

  /** The deviation of random weights, under either of its names. */
  initializerRange(): number {
    const value = this.number("initializer_range", this.number("init_std", 0.02));
    if (value >= 0) return value;
    throw this.#unfit("initializer_range" in this.fields ? "initializer_range" : "init_std", "at least 0");
  }

  /** The names of the labels by id, or null when the checkpoint names none. */
  labels(): readonly string[] | null {
    const names = this.fields["id2label"];
    if (typeof names !== "object" || names === null) return null;
    const labels = Object.entries(names).sort(([a], [b]) => Number(a) - Number(b));
    if (labels.some(([id, name], index) => Number(id) !== index || typeof name !== "string")) {
      throw this.#unfit("id2label", "names by id, from 0 without a gap");
    }
    return labels.length === 0 ? null : labels.map(([, name]) => name as string);
  }

  #unfit(name: string, wanted: string): CheckpointError {
    const value = this.fields[name];
    const found = value === undefined ? "is missing" : `is ${show(value)}`;
    return new CheckpointError(`${this.path}: ${name} ${found}, it has to be ${wanted}`);
  }
}

// No configuration is nearly as large.
const maxBytes = 1 << 26;

/** Reads a JSON object from a file. Throws {@linkcode CheckpointError} when it is missing or is none. */
export function readJsonObject(path: string): Record<string, unknown> {
  const text = readTextUpTo(maxBytes, path);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${path} is no JSON (${reasonOf(cause)})`, { cause });
  }
  if (isObject(value)) return value;
  throw new CheckpointError(`${path} holds no JSON object`);
}
