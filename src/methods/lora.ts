// LoRA: beside frozen linear maps, products of two narrow matrices are trained.

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import { adaptedLinears, type Linear } from "../nn/linear.ts";
import type { Module } from "../nn/module.ts";
import { nameList, number, trueOrFalse, wholeNumber } from "../options/values.ts";
import type { Generator } from "../torch/mod.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";
import { Lora, type LoraShape } from "./lora_adapter.ts";
import { linearsAt } from "./sites.ts";

/** What LoRA is told. */
export interface LoraOptions {
  /** r, the inner width of the product. Default 8. */
  readonly loraR?: number | undefined;
  /** The product counts alpha / r times. Default 16. */
  readonly loraAlpha?: number | undefined;
  /** The probability with which an element of the product's input is dropped in training. Default 0. */
  readonly loraDropout?: number | undefined;
  /**
   * The linear maps of each layer that get one: `query`, `key`, `value`, `attentionOutput`, `intermediate` and `output`
   * (the feed-forward's two), whatever the architecture calls them, and any by the end of its key, such as
   * `output.dense`. Default query and value.
   */
  readonly loraTargets?: readonly string[] | undefined;
  /** Whether the product counts alpha / sqrt(r) times (Kalajdzievski 2023), so that a larger r learns as fast. */
  readonly useRslora?: boolean | undefined;
  /** Whether the lengths of the weight's rows train besides: DoRA (Liu et al. 2024). Default false. */
  readonly useDora?: boolean | undefined;
}

const declarations = {
  loraR: wholeNumber({ least: 1 }, "rank").describe("r, the inner width of LoRA's matrices (default: 8)"),
  loraAlpha: number({ above: 0 }).describe("LoRA counts alpha / r times (default: 16)"),
  loraDropout: number({ least: 0, below: 1 }, "share").describe("of the input of LoRA's product (default: 0)"),
  loraTargets: nameList().describe("linear maps that get LoRA (default: query,value)"),
  useRslora: trueOrFalse().describe("LoRA counts alpha / sqrt(r) times"),
  useDora: trueOrFalse().describe("DoRA: LoRA, and the lengths of the weights' rows train"),
};

const defaults = {
  ...{ loraR: 8, loraAlpha: 16, loraDropout: 0, loraTargets: ["query", "value"], useRslora: false, useDora: false },
} as const;

export const lora = {
  name: "lora",
  summary: "products of two narrow matrices beside frozen ones (Hu et al. 2022); DoRA, rank-stabilised",
  options: declarations,
  defaults,
  saves: "adapter",
  apply({ layers }: OpenParts, options: LoraOptions, random: Generator): readonly Insertion[] {
    const { loraTargets, ...filled } = { ...defaults, ...options };
    if (layers.length === 0) {
      throw new OptionError("LoRA has no layer to go into: every layer is frozen, freeze fewer");
    }
    const linears = layers.flatMap((layer) => linearsAt("loraTargets", layer, loraTargets ?? defaults.loraTargets));
    const shape = shapeOf(filled);
    for (const linear of linears) requireRoom(linear, shape);
    return linears.map((linear) => {
      const made = new Lora(linear, shape);
      made.initialize(random);
      return insertLora(linear, made);
    });
  },
} as const satisfies WeightMethod<LoraOptions>;

function shapeOf(options: LoraOptions): LoraShape {
  const { loraR, loraAlpha, loraDropout, useRslora, useDora } = options;
  return {
    ...{ rank: loraR ?? defaults.loraR, alpha: loraAlpha ?? defaults.loraAlpha },
    ...{ dropout: loraDropout ?? 0, isRankStabilised: useRslora ?? false, hasMagnitude: useDora ?? false },
  };
}

function requireRoom({ inFeatures, outFeatures }: Linear, { rank }: LoraShape): void {
  const width = Math.min(inFeatures, outFeatures);
  if (rank <= width) return;
  throw new OptionError(
    `loraR is ${rank}, but a linear map is ${inFeatures} to ${outFeatures} wide: r can be at most ${width}`,
  );
}

/** Puts LoRA on a linear map. */
export function insertLora(linear: Linear, lora: Lora): Insertion {
  linear.adapt(lora);
  return {
    module: lora,
    detach: () => linear.release(lora),
    attach: () => linear.adapt(lora),
    merging: { weights: [linear.weight], fold: () => lora.fold() },
  };
}

/** The linear maps that have LoRA, by their keys. */
export function loraLinears(module: Module): Map<string, { readonly linear: Linear; readonly lora: Lora }> {
  const found = adaptedLinears(module).entries().flatMap(([key, linear]) =>
    linear.adapters.flatMap((lora) => lora instanceof Lora ? [[key, { linear, lora }] as const] : [])
  );
  return new Map(found);
}
