// LoRA (Hu et al. 2021, equation 3): beside a frozen weight W, a product of two narrow matrices is trained.

import { OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import type { SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { adaptedLinears, type Linear, type LinearAdapter, namedLinears } from "../nn/linear.ts";
import { linearMap } from "../nn/linear_map.ts";
import { disposeModule, type Module, namedParameters, parameter } from "../nn/module.ts";
import {
  add_,
  type Generator,
  matmul,
  mulScalar,
  mulScalar_,
  noGrad,
  scope,
  type Tensor,
  uniform_,
  zero_,
} from "../torch/mod.ts";
import { checkGiven } from "../options/check.ts";
import { nameList, number, wholeNumber } from "../options/values.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";

/** What LoRA is told. */
export interface LoraOptions {
  /** r, the inner width of the product. Default 8. */
  readonly loraRank?: number | undefined;
  /** The product counts alpha / r times. Default 16. */
  readonly loraAlpha?: number | undefined;
  /**
   * The linear maps of each layer that get one: `query`, `key` and `value`, whatever the architecture calls them, and
   * any other by the end of its key, such as `output.dense`. Default query and value.
   */
  readonly loraTargets?: readonly string[] | undefined;
}

/** W x + b becomes W x + b + (alpha / r) B A x, with A `[r, inFeatures]` and B `[outFeatures, r]`. */
export class Lora implements LinearAdapter {
  readonly children: Readonly<Record<string, Module>>;
  readonly rank: number;
  readonly alpha: number;
  readonly #a: Tensor;
  readonly #b: Tensor;

  /** Uninitialised, in the size, type and place of the linear's weight. */
  constructor({ weight }: Linear, rank: number, alpha: number) {
    const { dtype, device } = weight;
    this.rank = rank;
    this.alpha = alpha;
    this.#a = parameter([rank, weight.length(1)], { dtype, device });
    this.#b = parameter([weight.length(0), rank], { dtype, device });
    this.children = { lora_A: { parameters: { weight: this.#a } }, lora_B: { parameters: { weight: this.#b } } };
  }

  apply(output: Tensor, input: Tensor): Tensor {
    return scope(() =>
      add_(output, linearMap(mulScalar_(linearMap(input, this.#a, null), this.#scale), this.#b, null))
    );
  }

  /** (alpha / r) B A, `[outFeatures, inFeatures]`. */
  product(): Tensor {
    return scope(() => mulScalar(matmul(this.#b, this.#a), this.#scale));
  }

  /** B is zero, so that training starts from the model as it was; A is PEFT's `kaiming_uniform_(a=sqrt(5))`. */
  initialize(random: Generator): void {
    const bound = 1 / Math.sqrt(this.#a.length(1));
    noGrad(() =>
      scope(() => {
        uniform_(this.#a, -bound, bound, { generator: random });
        zero_(this.#b);
      })
    );
  }

  get #scale(): number {
    return this.alpha / this.rank;
  }
}

/** The linear maps that have LoRA, by their keys. */
export function loraLinears(module: Module): Map<string, { readonly linear: Linear; readonly lora: Lora }> {
  const found = adaptedLinears(module).entries().flatMap(([key, linear]) =>
    linear.adapter instanceof Lora ? [[key, { linear, lora: linear.adapter }] as const] : []
  );
  return new Map(found);
}

/** What is saved of a model with LoRA, by its keys: the LoRA's parameters, and the head's where no LoRA stands for them. */
export function adapterParameters(model: SequenceClassifier): Map<string, Tensor> {
  const adapted = [...loraLinears(model).values()];
  const own = [model.head, ...adapted.map(({ lora }) => lora)];
  const saved = new Set(own.flatMap((part) => [...namedParameters(part).values()]));
  for (const { linear } of adapted) for (const tensor of Object.values(linear.parameters)) saved.delete(tensor);
  return new Map(namedParameters(model).entries().filter(([, tensor]) => saved.has(tensor)));
}

/**
 * Adds each LoRA product to its weight and takes the LoRA off: an ordinary model, which computes the same. Which
 * parameters train stays as it is; the next method decides that anew.
 */
export function mergeLora({ model }: Classifier): void {
  for (const { linear, lora } of loraLinears(model).values()) {
    noGrad(() => scope(() => add_(linear.weight, lora.product()).dispose()));
    linear.adapt(null);
    disposeModule(lora);
  }
}

/** The options' declarations. */
export const loraDeclarations = {
  loraRank: wholeNumber({ least: 1 }, "rank").describe("inner width of LoRA's matrices (default: 8)"),
  loraAlpha: number({ above: 0 }).describe("LoRA counts alpha / rank times (default: 16)"),
  loraTargets: nameList().describe("linear maps that get LoRA (default: query,value)"),
};

const defaults = { loraRank: 8, loraAlpha: 16, loraTargets: ["query", "value"] } as const;

export const lora: WeightMethod<LoraOptions> = {
  name: "lora",
  options: { loraRank: "the LoRA rank", loraAlpha: "LoRA's alpha", loraTargets: "the list of LoRA's targets" },
  defaults,
  saves: "adapter",
  check: (options: LoraOptions) => checkGiven(loraDeclarations, options),
  apply({ layers }: OpenParts, options: LoraOptions, random: Generator): void {
    const { loraRank, loraAlpha, loraTargets } = withDefaults(options);
    if (layers.length === 0) {
      throw new OptionError("LoRA has no layer to go into: every layer is frozen, freeze fewer");
    }
    for (const layer of layers) {
      for (const linear of targetsIn(layer, loraTargets)) {
        const adapter = new Lora(linear, loraRank, loraAlpha);
        adapter.initialize(random);
        linear.adapt(adapter);
      }
    }
  },
};

function withDefaults(options: LoraOptions): { [Name in keyof LoraOptions]-?: NonNullable<LoraOptions[Name]> } {
  const { loraRank = defaults.loraRank, loraAlpha = defaults.loraAlpha, loraTargets = defaults.loraTargets } = options;
  return { loraRank, loraAlpha, loraTargets };
}

function targetsIn(layer: TransformerLayer, targets: readonly string[]): Set<Linear> {
  const linears = namedLinears(layer);
  const { query, key, value } = layer;
  const projections = new Map(Object.entries({ query, key, value }));
  return new Set(targets.flatMap((target) => {
    const projection = projections.get(target);
    const found = projection
      ? [projection]
      : [...linears].filter(([key]) => `.${key}`.endsWith(`.${target}`)).map(([, linear]) => linear);
    if (found.length > 0) return found;
    throw new OptionError(
      `LoRA's target ${JSON.stringify(target)} is no linear map of a layer, there are: ${
        [...linears.keys()].join(", ")
      }`,
    );
  }));
}
