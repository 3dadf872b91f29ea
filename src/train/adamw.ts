// AdamW by LibTorch's fused operator, with weight decay on matrices only.

import {
  coalesce,
  detachFromScope,
  foreachAddScalar_,
  fusedAdamw_,
  indexAdd_,
  narrow,
  noGrad,
  scope,
  sparseIndices,
  sparseValues,
  sub,
  type Tensor,
  tensorFrom,
  toTypedArray,
  view,
  zeros,
  zerosLike,
} from "../torch/mod.ts";

/** AdamW's constants, with the defaults of BERT's fine-tuning. */
export interface AdamWOptions {
  /** Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Of the parameters that {@linkcode isDecayed} names. Default 0.01. */
  readonly weightDecay?: number;
}

// A parameter, or some of its rows, with what its update reads and changes.
interface Update {
  readonly parameter: Tensor;
  readonly average: Tensor;
  readonly squareAverage: Tensor;
  readonly steps: Tensor;
  readonly gradient: Tensor;
}

/** What AdamW keeps of a parameter: the averages, of its shape, and its count of steps, a scalar. */
export type AdamWState = Pick<Update, "average" | "squareAverage" | "steps">;

const rowsPerChunk = 2048;

/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2), equal to `torch.optim.AdamW(fused=True)`. Its state, two tensors of
 * each parameter's size, is made at the parameter's first step. Dispose it to free the state.
 *
 * A sparse gradient is updated as the dense one that it stands for, a chunk of rows at a time: the gradient of a
 * vocabulary never exists as a whole.
 */
export class AdamW implements Disposable {
  readonly #parameters: readonly Tensor[];
  readonly #options: Required<AdamWOptions>;
  readonly #states = new Map<Tensor, AdamWState>();

  constructor(parameters: Iterable<Tensor>, options: AdamWOptions = {}) {
    const { betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0.01 } = options;
    this.#parameters = [...parameters];
    this.#options = { betas, epsilon, weightDecay };
  }

  /** Bytes of its state: two averages of each parameter that was updated, and its count of steps. */
  get stateBytes(): number {
    const tensors = this.#states.values().flatMap((state): Tensor[] => Object.values(state));
    return tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** The state of each parameter that has one: those that were updated. */
  get states(): ReadonlyMap<Tensor, AdamWState> {
    return this.#states;
  }

  /** The state of a parameter, made where there is none: all zeros, as before its first step. */
  stateOf(parameter: Tensor): AdamWState {
    const known = this.#states.get(parameter);
    if (known) return known;
    const state = scope(() =>
      detachFromScope({
        average: zerosLike(parameter),
        squareAverage: zerosLike(parameter),
        steps: tensorFrom([0], { shape: [], device: parameter.device }),
      })
    );
    this.#states.set(parameter, state);
    return state;
  }

  /** Updates every one of the parameters (or of `among`) that has a gradient, and frees the gradients. */
  step(learningRate: number, among: Iterable<Tensor> = this.#parameters): void {
    noGrad(() => scope(() => this.#step(learningRate, [...among])));
  }

  [Symbol.dispose](): void {
    for (const state of this.#states.values()) Object.values(state).forEach((tensor: Tensor) => tensor.dispose());
    this.#states.clear();
  }

  #step(learningRate: number, among: readonly Tensor[]): void {
    const updates = among.flatMap((parameter) => {
      const gradient = parameter.grad;
      return gradient === null ? [] : [{ parameter, gradient, ...this.stateOf(parameter) }];
    });
    if (updates.length === 0) return;
    foreachAddScalar_(updates.map(({ steps }) => steps), 1);
    const dense = updates.filter(({ gradient }) => !gradient.isSparse);
    this.#update(dense.filter(({ parameter }) => isDecayed(parameter)), learningRate, this.#options.weightDecay);
    this.#update(dense.filter(({ parameter }) => !isDecayed(parameter)), learningRate, 0);
    for (const update of updates) if (update.gradient.isSparse) this.#updateRows(update, learningRate);
    for (const { parameter } of updates) parameter.grad = null;
  }

  #update(updates: readonly Update[], learningRate: number, weightDecay: number): void {
    if (updates.length === 0) return;
    const { betas: [beta1, beta2], epsilon: eps } = this.#options;
    fusedAdamw_(
      updates.map(({ parameter }) => parameter),
      updates.map(({ gradient }) => gradient),
      updates.map(({ average }) => average),
      updates.map(({ squareAverage }) => squareAverage),
      [],
      updates.map(({ steps }) => steps),
      { lr: learningRate, beta1, beta2, weightDecay, eps, amsgrad: false, maximize: false },
    );
  }

  #updateRows({ gradient, parameter, average, squareAverage, steps }: Update, learningRate: number): void {
    const merged = coalesce(gradient);
    const [rows, values] = [view(sparseIndices(merged), [-1]), sparseValues(merged)];
    const places = toTypedArray(rows) as BigInt64Array;
    for (let start = 0; start < parameter.length(0); start += rowsPerChunk) {
      const count = Math.min(rowsPerChunk, parameter.length(0) - start);
      const [from, to] = [lowerBound(places, start), lowerBound(places, start + count)];
      scope(() => {
        const inChunk = (tensor: Tensor): Tensor => narrow(tensor, 0, start, count);
        const chunk = zeros([count, values.length(1)], { dtype: values.dtype, device: values.device });
        const offset = tensorFrom([start], { dtype: "int64", device: rows.device });
        indexAdd_(chunk, 0, sub(narrow(rows, 0, from, to - from), offset), narrow(values, 0, from, to - from));
        const update = {
          parameter: inChunk(parameter),
          gradient: chunk,
          average: inChunk(average),
          squareAverage: inChunk(squareAverage),
          steps,
        };
        this.#update([update], learningRate, this.#options.weightDecay);
      });
    }
  }
}

/**
 * Whether weight decay acts on a parameter: on matrices, the embeddings' tables among them, and on no bias and no norm.
 * These are the parameters that the Trainer of Hugging Face's transformers decays.
 */
export function isDecayed(parameter: Tensor): boolean {
  return parameter.shape.length >= 2;
}

// The number of values in an ascending list that are below `bound`.
function lowerBound(ascending: BigInt64Array, bound: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0n) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
