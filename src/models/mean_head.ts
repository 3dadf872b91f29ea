// The head on the mean over the positions: the same for every architecture, under a key that no other head has.

import { Dropout } from "../nn/dropout.ts";
import { Linear } from "../nn/linear.ts";
import type { Module, ParameterOptions } from "../nn/module.ts";
import { type Generator, scope, tanh, type Tensor } from "../torch/mod.ts";
import type { Backbone, SequenceClassifier } from "./contract.ts";

/** What a head with a hidden layer is made with. */
export interface HeadShape {
  /** Of what it reads, and of its hidden layer. */
  readonly size: number;
  readonly numLabels: number;
  /** The probability of its dropout. */
  readonly dropout: number;
}

class MeanHead implements Module {
  readonly children: Readonly<Record<string, Module>>;
  readonly #dense: Linear;
  readonly #output: Linear;
  readonly #dropout: Dropout;

  constructor({ size, numLabels, dropout }: HeadShape, options: ParameterOptions) {
    this.#dense = new Linear(size, size, options);
    this.#output = new Linear(size, numLabels, options);
    this.#dropout = new Dropout(dropout);
    this.children = { dense: this.#dense, out_proj: this.#output };
  }

  forward(pooled: Tensor, random: Generator | null): Tensor {
    return scope(() => this.#output.forward(this.#dropout.apply(tanh(this.#dense.forward(pooled)), random)));
  }
}

/**
 * A backbone, whose key is `name`, with the head on the mean of its last hidden states: a map to as many features,
 * tanh, dropout, a map to the labels (Simoulin et al. 2023, section 2.2, with BERT's hidden layer).
 */
export function withMeanHead(
  name: string,
  backbone: Backbone,
  shape: HeadShape,
  options: ParameterOptions,
): SequenceClassifier {
  const meanHead = new MeanHead(shape, options);
  const head = { children: { mean_head: meanHead } };
  return {
    ...{ backbone, head, pooling: "mean", numLabels: shape.numLabels },
    children: { [name]: backbone, ...head.children },
    classify: (pooled: Tensor, random: Generator | null): Tensor => meanHead.forward(pooled, random),
  };
}

/** The keys of its parameters in a checkpoint. */
export const meanHeadKeys = /^mean_head\./;

/** Those of its last layer. */
export const meanHeadOutputKeys = /^mean_head\.out_proj\./;
