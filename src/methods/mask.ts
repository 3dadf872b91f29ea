// Masking (Zhao et al. 2020): frozen weights are kept or left out, each by a score that trains.

import { CheckpointError, OptionError } from "../errors.ts";
import { plainly } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import type { CompactForm, Derivation, Insertion } from "../models/adaptation.ts";
import { linearSites } from "../models/contract.ts";
import { type Module, namedParameters, parameter } from "../nn/module.ts";
import { nameList, number } from "../options/values.ts";
import {
  clone,
  copy_,
  detachFromScope,
  type Generator,
  lessThanScalar,
  logicalNot,
  maskedFill,
  mul,
  noGrad,
  requiresGrad_,
  scope,
  type Tensor,
  tensorFrom,
  toTypedArray,
  uniform_,
} from "../torch/mod.ts";
import { packBits, unpackBits } from "./bits.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";
import { linearsAt } from "./sites.ts";

/** What masking is told. */
export interface MaskOptions {
  /** The linear maps of each layer whose weights are masked, named as LoRA's. Default all six. */
  readonly maskTargets?: readonly string[] | undefined;
  /** The share of the weights that are left out at the start. Default 0.05, the paper's. */
  readonly maskSparsity?: number | undefined;
  /**
   * The width of the interval that the first scores are drawn from: with a learning rate of 5e-5 a score goes at most
   * that far in a step. Default 0.02.
   */
  readonly maskWidth?: number | undefined;
}

interface MaskShape {
  readonly sparsity: number;
  readonly width: number;
}

/**
 * W becomes W * m where m is 1 for a score of at least 0, else 0 (Zhao et al. 2020, section 3; the paper's threshold is a
 * number that could as well be added to every score, so that it is 0 here). Backward takes m's gradient for the score's.
 */
export class Mask implements Derivation, CompactForm {
  readonly derived: readonly Tensor[];
  readonly module: Module;
  readonly #weight: Tensor;
  readonly #base: Tensor;
  readonly #scores: Tensor;
  readonly #name: string;
  readonly #shape: MaskShape;

  /**
   * With uninitialised scores.
   *
   * @param key the weight's
   * @param weight `[outFeatures, inFeatures]`, as are the scores
   */
  constructor(key: string, weight: Tensor, shape: MaskShape) {
    this.#weight = weight;
    this.#base = noGrad(() => detachFromScope(clone(weight)));
    this.#scores = parameter(weight.shape, { dtype: weight.dtype, device: weight.device });
    this.#name = `${key}.mask`;
    this.#shape = shape;
    this.derived = [weight];
    this.module = { children: { [key]: { parameters: { mask_scores: this.#scores, mask_base: this.#base } } } };
    requiresGrad_(weight).dispose();
  }

  /** Uniform scores, of which the sparsity's share is below 0. */
  initialize(random: Generator): void {
    const { sparsity, width } = this.#shape;
    noGrad(() => uniform_(this.#scores, -sparsity * width, (1 - sparsity) * width, { generator: random }).dispose());
  }

  get extent(): CompactForm["extent"] {
    return { elements: this.#scores.size, bytes: this.#byteCount };
  }

  refresh(): void {
    noGrad(() => scope(() => void copy_(this.#weight, maskedFill(this.#base, lessThanScalar(this.#scores, 0), 0))));
  }

  backward(): void {
    noGrad(() =>
      scope(() => {
        const gradient = this.#weight.grad;
        this.#weight.grad = null;
        if (gradient !== null) this.#scores.grad = mul(gradient, this.#base);
      })
    );
  }

  /** One bit for each weight, in the order of the weight's elements, the lowest bit of a byte first. */
  sources(): ReturnType<CompactForm["sources"]> {
    const bytes = (): Uint8Array =>
      noGrad(() => scope(() => packBits(toTypedArray(logicalNot(lessThanScalar(this.#scores, 0))) as Uint8Array)));
    return [{ name: this.#name, dtype: "U8", shape: [this.#byteCount], bytes }];
  }

  has(name: string): boolean {
    return name === this.#name;
  }

  /** Scores are then the means of those that were drawn above 0, and below. */
  read(file: WeightsFile): void {
    const entry = file.tensors.get(this.#name);
    if (entry === undefined) throw new CheckpointError(`${file.path} lacks ${plainly(this.#name)}`);
    if (entry.dtype !== "U8" || entry.shape.join() !== `${this.#byteCount}`) {
      throw new CheckpointError(
        `${file.path}: ${
          plainly(this.#name)
        } is ${entry.dtype} [${entry.shape}] and not U8 [${this.#byteCount}], a bit ` +
          "for each weight",
      );
    }
    const packed = new Uint8Array(this.#byteCount);
    file.readInto(this.#name, packed);
    const { sparsity, width } = this.#shape;
    const scores = Float32Array.from(
      unpackBits(packed, this.#scores.size),
      (bit) => bit === 1 ? (1 - sparsity) * width / 2 : -sparsity * width / 2,
    );
    noGrad(() => scope(() => void copy_(this.#scores, tensorFrom(scores, { shape: this.#scores.shape }))));
  }

  /** Gives the weight the base's bits. */
  detach(): void {
    noGrad(() => copy_(this.#weight, this.#base).dispose());
  }

  /** Makes the masked weight the base's. */
  fold(): void {
    noGrad(() => copy_(this.#base, this.#weight).dispose());
  }

  get base(): Tensor {
    return this.#base;
  }

  get #byteCount(): number {
    return Math.ceil(this.#scores.size / 8);
  }
}

const declarations = {
  maskTargets: nameList().describe("linear maps whose weights are masked (default: all six)"),
  maskSparsity: number({ above: 0, below: 1 }, "share").describe(
    "weights that masks leave out at first (default: 0.05)",
  ),
  maskWidth: number({ above: 0 }).describe("width of the interval of the masks' first scores (default: 0.02)"),
};

const defaults = { maskTargets: linearSites, maskSparsity: 0.05, maskWidth: 0.02 } as const;

export const mask = {
  name: "mask",
  summary: "binary masks on frozen weights (Zhao et al. 2020)",
  options: declarations,
  defaults,
  saves: "adapter",
  excludes: {
    lora: "what LoRA adds to a weight would be merged into one that is masked",
    ia3: "what (IA)^3 scales a weight by would be merged into one that is masked",
  },
  apply({ backbone, layers }: OpenParts, options: MaskOptions, random: Generator): readonly Insertion[] {
    const { maskTargets = defaults.maskTargets, maskSparsity: sparsity = 0.05, maskWidth: width = 0.02 } = options;
    if (layers.length === 0) throw new OptionError("there is no layer to mask: every layer is frozen, freeze fewer");
    const weights = new Set(
      layers.flatMap((layer) => linearsAt("maskTargets", layer, maskTargets)).map(({ weight }) => weight),
    );
    const keyed = [...namedParameters(backbone)].filter(([, tensor]) => weights.has(tensor));
    return keyed.map(([key, weight]) => {
      const made = new Mask(key, weight, { sparsity, width });
      made.initialize(random);
      made.refresh();
      return insertMask(made);
    });
  },
} as const satisfies WeightMethod<MaskOptions>;

function insertMask(made: Mask): Insertion {
  return {
    module: made.module,
    detach: () => made.detach(),
    attach: () => made.refresh(),
    merging: { weights: [made.base], fold: () => made.fold() },
    derivation: made,
    compactForm: made,
  };
}
