// AdamW by LibTorch's fused operator, with weight decay on matrices only.

import {
  detachFromScope,
  fill_,
  fusedAdamw_,
  noGrad,
  scope,
  type Tensor,
  tensorFrom,
  zerosLike,
} from "../torch/mod.ts";

/** AdamW's constants, with the defaults of BERT's fine-tuning. */
export interface AdamWOptions {
  /** Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** On matrices; biases and norms are never decayed. Default 0.01. */
  readonly weightDecay?: number;
}

interface ParameterState {
  readonly parameter: Tensor;
  readonly average: Tensor;
  readonly squareAverage: Tensor;
}

interface Group {
  readonly weightDecay: number;
  readonly parameters: readonly Tensor[];
}

/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2), equal to `torch.optim.AdamW(fused=True)`. Its state, two tensors of
 * each parameter's size, is made at the first step. Dispose it to free the state.
 */
export class AdamW implements Disposable {
  readonly #groups: readonly Group[];
  readonly #options: Required<Omit<AdamWOptions, "weightDecay">>;
  readonly #states = new Map<Tensor, ParameterState>();
  #steps: Tensor | null = null;
  #count = 0;

  constructor(parameters: Iterable<Tensor>, options: AdamWOptions = {}) {
    const { betas = [0.9, 0.999], epsilon = 1e-8, weightDecay = 0.01 } = options;
    const all = [...parameters];
    this.#groups = [
      { weightDecay, parameters: all.filter((parameter) => parameter.shape.length >= 2) },
      { weightDecay: 0, parameters: all.filter((parameter) => parameter.shape.length < 2) },
    ];
    this.#options = { betas, epsilon };
  }

  /** Updates every parameter that has a gradient, and frees the gradients. */
  step(learningRate: number): void {
    this.#count++;
    noGrad(() => scope(() => this.#groups.forEach((group) => this.#update(group, learningRate))));
  }

  [Symbol.dispose](): void {
    for (const { average, squareAverage } of this.#states.values()) {
      average.dispose();
      squareAverage.dispose();
    }
    this.#states.clear();
    this.#steps?.dispose();
    this.#steps = null;
  }

  #update(group: Group, learningRate: number): void {
    const updates = group.parameters.flatMap((parameter) => {
      const gradient = parameter.grad;
      return gradient === null ? [] : [{ gradient, ...this.#stateOf(parameter) }];
    });
    const [first] = updates;
    if (first === undefined) return;
    const steps = this.#stepTensor(first.parameter);
    fusedAdamw_(
      updates.map(({ parameter }) => parameter),
      updates.map(({ gradient }) => gradient),
      updates.map(({ average }) => average),
      updates.map(({ squareAverage }) => squareAverage),
      [],
      updates.map(() => steps),
      {
        lr: learningRate,
        beta1: this.#options.betas[0],
        beta2: this.#options.betas[1],
        weightDecay: group.weightDecay,
        eps: this.#options.epsilon,
        amsgrad: false,
        maximize: false,
      },
    );
    for (const { parameter } of updates) parameter.grad = null;
  }

  #stateOf(parameter: Tensor): ParameterState {
    const known = this.#states.get(parameter);
    if (known) return known;
    const [average, squareAverage] = detachFromScope([zerosLike(parameter), zerosLike(parameter)] as const);
    const state = { parameter, average, squareAverage };
    this.#states.set(parameter, state);
    return state;
  }

  // All parameters have made the same number of steps: one tensor says it for all of them.
  #stepTensor(parameter: Tensor): Tensor {
    this.#steps ??= detachFromScope(tensorFrom([0], { shape: [], device: parameter.device }));
    return fill_(this.#steps, this.#count);
  }
}
