// Linear: x W^T + b on packed rows, and the slot in which an adapter changes what comes out.

import { type Generator, normal_, scope, type Tensor, zero_ } from "../torch/mod.ts";
import type { Activation } from "./activation.ts";
import { linearMap } from "./linear_map.ts";
import { type Module, namedModules, parameter, type ParameterOptions } from "./module.ts";

/** What is put on a linear map: its parts take the linear's key as their prefix. */
export interface LinearAdapter extends Module {
  /** The linear's output `[N, outFeatures]` changed, in place where it can be, for its input `[N, inFeatures]`. */
  apply(output: Tensor, input: Tensor): Tensor;
}

/** A linear map of rows `[N, inFeatures]` to `[N, outFeatures]`. */
export class Linear implements Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly parameters: Readonly<Record<string, Tensor>>;
  #adapter: LinearAdapter | null = null;

  constructor(inFeatures: number, outFeatures: number, options: ParameterOptions = {}) {
    this.weight = parameter([outFeatures, inFeatures], options);
    this.bias = parameter([outFeatures], options);
    this.parameters = { weight: this.weight, bias: this.bias };
  }

  get adapter(): LinearAdapter | null {
    return this.#adapter;
  }

  get children(): Readonly<Record<string, Module>> {
    return this.#adapter?.children ?? {};
  }

  /** Puts an adapter on, or with null takes it off; who takes it off disposes it. */
  adapt(adapter: LinearAdapter | null): void {
    this.#adapter = adapter;
  }

  forward(input: Tensor): Tensor {
    const adapter = this.#adapter;
    if (adapter === null) return linearMap(input, this.weight, this.bias);
    return scope(() => adapter.apply(linearMap(input, this.weight, this.bias), input));
  }

  /** The map of `activation(input)`; see {@linkcode linearMap} for what backward keeps. */
  forwardActivated(input: Tensor, activation: Activation): Tensor {
    if (this.#adapter === null) return linearMap(input, this.weight, this.bias, activation);
    return scope(() => this.forward(activation.apply(input)));
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
  return new Map(namedLinears(module).entries().filter(([, { adapter }]) => adapter !== null));
}
