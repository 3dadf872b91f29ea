// Diff pruning (Guo et al. 2021): a sparse difference to the base's parameters trains.

import { OptionError } from "../errors.ts";
import type { SafetensorsSource } from "../files/safetensors_write.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import type { CompactForm, Derivation, Insertion } from "../models/adaptation.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { number, trueOrFalse } from "../options/values.ts";
import {
  abs,
  cat,
  emptyLike,
  type Generator,
  indexFill_,
  narrow,
  noGrad,
  scope,
  type Tensor,
  topk,
  uniform_,
  zerosLike,
} from "../torch/mod.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";
import { DiffVector } from "./diff_vector.ts";
import type { Noise } from "./hard_concrete.ts";

/** What diff pruning is told. */
export interface DiffOptions {
  /** The share of the parameters' elements that are other than the base's in the end. Default 0.005, the paper's. */
  readonly diffSparsity?: number | undefined;
  /** What each element of the difference that is not 0 costs. Default 1.25e-7, that of the authors' code. */
  readonly diffPenalty?: number | undefined;
  /** Whether matrices and vectors have no gates besides, each for all its elements. Default false. */
  readonly diffUnstructured?: boolean | undefined;
  /** The highest learning rate of the gates. Default 0.1, that of the authors' code. */
  readonly diffGateRate?: number | undefined;
  /**
   * The share of a run's steps, its last ones, in which the elements that stay are chosen and they alone train. Default
   * 0.5: the authors train for three epochs before and three after.
   */
  readonly diffFixedShare?: number | undefined;
}

const declarations = {
  diffSparsity: number({ above: 0, below: 1 }, "share").describe("elements that diff pruning changes (default: 0.005)"),
  diffPenalty: number({ least: 0 }).describe("what each element costs that diff pruning changes (default: 1.25e-7)"),
  diffUnstructured: trueOrFalse().describe("matrices and vectors have no gates of their own in diff pruning"),
  diffGateRate: number({ above: 0 }, "rate").describe("highest learning rate of diff pruning's gates (default: 0.1)"),
  diffFixedShare: number({ above: 0, below: 1 }, "share").describe(
    "last steps, in which the changed elements are fixed (default: 0.5)",
  ),
};

const defaults = {
  ...{ diffSparsity: 0.005, diffPenalty: 1.25e-7, diffUnstructured: false, diffGateRate: 0.1, diffFixedShare: 0.5 },
} as const;

// Of all gates at the start, as in the authors' code: they are open but for noise that is seldom so large.
const firstAlpha = 5;

/**
 * The differences to all parameters. In the first phase of a run gates decide about each element, which a penalty closes;
 * then those of the largest magnitude stay (section 3.3), and in the second phase they alone train.
 */
export class DiffPruning implements Derivation, CompactForm {
  readonly derived: readonly Tensor[];
  readonly learningRates: ReadonlyMap<Tensor, number>;
  readonly keptBytes: number;
  readonly module: Module;
  readonly #vectors: readonly DiffVector[];
  readonly #options: Required<{ readonly [Name in keyof DiffOptions]: NonNullable<DiffOptions[Name]> }>;

  /** @param parameters by their keys */
  constructor(parameters: ReadonlyMap<string, Tensor>, options: DiffOptions) {
    const { diffSparsity, diffPenalty, diffUnstructured, diffGateRate, diffFixedShare } = options;
    this.#options = {
      diffSparsity: diffSparsity ?? defaults.diffSparsity,
      diffPenalty: diffPenalty ?? defaults.diffPenalty,
      diffUnstructured: diffUnstructured ?? defaults.diffUnstructured,
      diffGateRate: diffGateRate ?? defaults.diffGateRate,
      diffFixedShare: diffFixedShare ?? defaults.diffFixedShare,
    };
    const isStructured = !this.#options.diffUnstructured;
    this.#vectors = [...parameters].map(([key, each]) => new DiffVector(key, each, isStructured, firstAlpha));
    this.derived = this.#vectors.map(({ target }) => target);
    const gates = this.#vectors.flatMap((vector) => vector.gates);
    this.learningRates = new Map(gates.map((gate) => [gate, this.#options.diffGateRate]));
    this.keptBytes = gates.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.module = { children: Object.assign({}, ...this.#vectors.map(({ module }) => module.children)) };
  }

  /** False in the first phase. All gates are fixed together. */
  get isSettled(): boolean {
    return this.#vectors[0]?.isFixed ?? true;
  }

  get extent(): CompactForm["extent"] {
    const [elements, byteLength] = [this.#keptCount, this.derived.reduce((sum, each) => sum + each.byteLength, 0)];
    return { elements, bytes: elements * (Int32Array.BYTES_PER_ELEMENT + byteLength / this.#size) };
  }

  /** The values that detaching gives back. */
  get bases(): readonly Tensor[] {
    return this.#vectors.map(({ base }) => base);
  }

  refresh(random: Generator | null): void {
    this.refreshWith(random && ((like) => uniform_(emptyLike(like), 0, 1, { generator: random })));
  }

  /** As {@linkcode DiffPruning.refresh}, with noise from elsewhere: of each parameter its elements', then its own. */
  refreshWith(noise: Noise | null): void {
    const used = this.isSettled ? null : noise;
    this.#each((vector) => vector.compute(used));
  }

  backward(): void {
    this.#each((vector) => vector.backward(this.#options.diffPenalty));
  }

  /** Begins the second phase when it is time: at the latest before the last step. */
  advance(done: number, total: number): void {
    const fixedFrom = Math.min(Math.floor(total * (1 - this.#options.diffFixedShare)), total - 1);
    if (done < fixedFrom || this.isSettled) return;
    noGrad(() =>
      scope(() => {
        const masks = this.#keptMasks();
        this.#vectors.forEach((vector, index) => masks[index] && vector.fix(masks[index]));
      })
    );
    this.refresh(null);
  }

  /** Of the elements that stay, or would if they were chosen now, the places and the differences. */
  sources(): readonly SafetensorsSource[] {
    return noGrad(() =>
      scope(() => {
        const masks = this.isSettled ? this.#vectors.map((vector) => vector.openGates()) : this.#keptMasks();
        return this.#vectors.flatMap((vector, index) => masks[index] ? vector.sources(masks[index]) : []);
      })
    );
  }

  has(name: string): boolean {
    return this.#vectors.some((vector) => vector.has(name));
  }

  read(file: WeightsFile): void {
    this.#each((vector) => vector.read(file));
  }

  detach(): void {
    this.#each((vector) => vector.detach());
  }

  fold(): void {
    this.#each((vector) => vector.fold());
  }

  get #size(): number {
    return this.derived.reduce((sum, { size }) => sum + size, 0);
  }

  get #keptCount(): number {
    return Math.max(1, Math.round(this.#options.diffSparsity * this.#size));
  }

  #each(work: (vector: DiffVector) => void): void {
    noGrad(() => {
      for (const vector of this.#vectors) scope(() => work(vector));
    });
  }

  // Ones at the elements of the largest magnitudes of all, for each parameter.
  #keptMasks(): Tensor[] {
    return scope(() => {
      const magnitudes = cat(this.#vectors.map((vector) => scope(() => abs(vector.difference()))));
      const [, places] = topk(magnitudes, this.#keptCount, 0, true, false);
      const mask = indexFill_(zerosLike(magnitudes), 0, places, 1);
      let end = 0;
      return this.#vectors.map(({ target: { size } }) => narrow(mask, 0, (end += size) - size, size));
    });
  }
}

const sameWeights = "both change the same weights, so that neither's part could be told";

export const diff = {
  name: "diff",
  summary: "diff pruning: a sparse difference to the weights trains (Guo et al. 2021)",
  options: declarations,
  defaults,
  saves: "adapter",
  excludes: { lora: sameWeights, bitfit: sameWeights, ia3: sameWeights, mask: sameWeights },
  apply({ backbone, layers, others }: OpenParts, options: DiffOptions): readonly Insertion[] {
    if (layers.length === 0) {
      throw new OptionError("diff pruning has no layer to change: every layer is frozen, freeze fewer");
    }
    const open = new Set([...others, ...layers].flatMap((part) => [...namedParameters(part).values()]));
    const frozen = [...namedParameters(backbone)].filter(([, each]) => open.has(each) && !each.requiresGrad);
    return [insertDiff(new DiffPruning(new Map(frozen), options))];
  },
} as const satisfies WeightMethod<DiffOptions>;

function insertDiff(made: DiffPruning): Insertion {
  return {
    module: made.module,
    detach: () => made.detach(),
    attach: () => made.refresh(null),
    merging: { weights: made.bases, fold: () => made.fold() },
    derivation: made,
    compactForm: made,
  };
}
