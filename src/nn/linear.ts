// Linear: x W^T + b on packed rows, and the slot in which adapters change what goes in or comes out.

import { type Generator, normal_, scope, type Tensor, zero_ } from "../torch/mod.ts";
import type { Activation } from "./activation.ts";
import { linearMap } from "./linear_map.ts";
import { type Module, namedModules, parameter, type ParameterOptions } from "./module.ts";

/** Rows mapped one by one: `[N, inFeatures]` to `[N, outFeatures]`. */
export type RowMap = (input: Tensor) => Tensor;

/** What is put on a linear map: its parameters and parts take the linear's key as their prefix. */
export interface LinearAdapter extends Module {
  /** Whether it draws random numbers in training. Default false. */
  readonly hasDropout?: boolean;
  /**
   * What the linear gives instead.
   *
   * @param inner the linear with the adapters that were put on before; its result is nobody else's, and may be changed
   * in place
   * @param random null in evaluation: no dropout
   */
  forward(input: Tensor, inner: RowMap, random: Generator | null): Tensor;
}

/** A linear map of rows `[N, inFeatures]` to `[N, outFeatures]`. */
export class Linear implements Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  #adapters: readonly LinearAdapter[] = [];

  constructor(readonly inFeatures: number, readonly outFeatures: number, options: ParameterOptions = {}) {
    this.weight = parameter([outFeatures, inFeatures], options);
    this.bias = parameter([outFeatures], options);
  }

  get parameters(): Readonly<Record<string, Tensor>> {
    const own = { weight: this.weight, bias: this.bias };
    return Object.assign(own, ...this.#adapters.map(({ parameters }) => parameters));
  }

  get children(): Readonly<Record<string, Module>> {
    return Object.assign({}, ...this.#adapters.map(({ children }) => children));
  }

  /** In the order in which they were put on. */
  get adapters(): readonly LinearAdapter[] {
    return this.#adapters;
  }

  /** Puts an adapter on, around those that are there. */
  adapt(adapter: LinearAdapter): void {
    this.#adapters = [...this.#adapters, adapter];
  }

  /** Takes an adapter off, which the caller disposes or puts on again. */
  release(adapter: LinearAdapter): void {
    this.#adapters = this.#adapters.filter((each) => each !== adapter);
  }

  /** @param random of the adapters' dropout; null in evaluation */
  forward(input: Tensor, random: Generator | null = null): Tensor {
    if (this.#adapters.length === 0) return linearMap(input, this.weight, this.bias);
    const plain: RowMap = (rows) => linearMap(rows, this.weight, this.bias);
    const adapted = this.#adapters.reduce<RowMap>(
      (inner, adapter) => (rows) => scope(() => adapter.forward(rows, inner, random)),
      plain,
    );
    return adapted(input);
  }

  /** The map of `activation(input)`; see {@linkcode linearMap} for what backward keeps. */
  forwardActivated(input: Tensor, activation: Activation, random: Generator | null = null): Tensor {
    if (this.#adapters.length === 0) return linearMap(input, this.weight, this.bias, activation);
    return scope(() => this.forward(activation.apply(input), random));
  }

  initialize(random: Generator, std: number): void {
    normal_(this.weight, 0, std, { generator: random }).dispose();
    zero_(this.bias).dispose();
  }
}

/** The linear maps of a module by their keys. */
export function namedLinears(module: Module): Map<string, Linear> {
  const linears = namedModules(module).entries().filter((entry): entry is [string, Linear] =>
    entry[1] instanceof Linear
  );
  return new Map(linears);
}

/** Those of the linear maps that have an adapter. */
export function adaptedLinears(module: Module): Map<string, Linear> {
  return new Map(namedLinears(module).entries().filter(([, { adapters }]) => adapters.length > 0));
}
