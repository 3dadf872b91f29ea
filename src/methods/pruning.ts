// Structural pruning by magnitude: a narrower layer of the rows of a layer's weights that are the largest.

import type { Backbone, LinearSite, TransformerLayer } from "../models/contract.ts";
import { linearSites } from "../models/contract.ts";
import { namedParameters } from "../nn/module.ts";
import {
  copy_,
  indexSelect,
  linalgVectorNorm,
  noGrad,
  scope,
  type Tensor,
  tensorFrom,
  toNumbers,
} from "../torch/mod.ts";

/** The features that are kept, in ascending order: of the hidden states, of attention's heads, of the feed-forward. */
export interface KeptFeatures {
  readonly hidden: readonly number[];
  readonly heads: readonly number[];
  readonly inner: readonly number[];
}

/**
 * For each layer what is kept of it when it becomes so many times narrower. A row counts as much as its L1 norm.
 *
 * The hidden states' features are the same in all layers, since residual connections add these to each other: the norms
 * of all rows that write to a feature are added. Of each head as many features are kept, for queries, keys and values
 * together.
 */
export function rowsByMagnitude({ layers, numAttentionHeads }: Backbone, reduction: number): KeptFeatures[] {
  const magnitudes = layers.map(magnitudesOf);
  const hidden = largest(
    together(magnitudes.flatMap(({ attentionOutput, output }) => [attentionOutput, output])),
    reduction,
  );
  return magnitudes.map(({ query, key, value, intermediate }) => ({
    hidden,
    heads: largestOfEach(together([query, key, value]), numAttentionHeads, reduction),
    inner: largest(intermediate, reduction),
  }));
}

/** Gives a narrow layer what is kept of a wide one's parameters. */
export function pruneInto(narrow: TransformerLayer, wide: TransformerLayer, kept: KeptFeatures): void {
  noGrad(() =>
    scope(() => {
      const { hidden, heads, inner } = indicesOf(kept, wide);
      const fromHidden = { out: heads, in: hidden };
      const between: Readonly<Record<LinearSite, { readonly out: Tensor; readonly in: Tensor }>> = {
        ...{ query: fromHidden, key: fromHidden, value: fromHidden, attentionOutput: { out: hidden, in: heads } },
        ...{ intermediate: { out: inner, in: hidden }, output: { out: hidden, in: inner } },
      };
      for (const site of linearSites) {
        const { out, in: columns } = between[site];
        const [to, from] = [narrow.linears[site], wide.linears[site]];
        copy_(to.weight, indexSelect(indexSelect(from.weight, 0, out), 1, columns));
        copy_(to.bias, indexSelect(from.bias, 0, out));
      }
      const sources = normParameters(wide);
      for (const [key, to] of normParameters(narrow)) {
        const from = sources.get(key);
        if (from) copy_(to, indexSelect(from, 0, hidden));
      }
    })
  );
}

type Magnitudes = Readonly<Record<LinearSite, readonly number[]>>;

// The L1 norm of each row.
function magnitudesOf({ linears }: TransformerLayer): Magnitudes {
  const of = (site: LinearSite): number[] =>
    noGrad(() => scope(() => toNumbers(linalgVectorNorm(linears[site].weight, 1, [1]))));
  return {
    ...{ query: of("query"), key: of("key"), value: of("value"), attentionOutput: of("attentionOutput") },
    ...{ intermediate: of("intermediate"), output: of("output") },
  };
}

function together(lists: readonly (readonly number[])[]): number[] {
  const [first = []] = lists;
  return first.map((_, index) => lists.reduce((sum, list) => sum + (list[index] ?? 0), 0));
}

function largest(values: readonly number[], reduction: number): number[] {
  const order = [...values.keys()].sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
  return order.slice(0, values.length / reduction).sort((a, b) => a - b);
}

function largestOfEach(values: readonly number[], groups: number, reduction: number): number[] {
  const size = values.length / groups;
  return Array.from({ length: groups }, (_, group) => group * size)
    .flatMap((start) => largest(values.slice(start, start + size), reduction).map((index) => start + index));
}

function indicesOf(kept: KeptFeatures, { linears: { query } }: TransformerLayer): Record<keyof KeptFeatures, Tensor> {
  const tensor = (indices: readonly number[]): Tensor =>
    tensorFrom(indices, { dtype: "int64", device: query.weight.device });
  return { hidden: tensor(kept.hidden), heads: tensor(kept.heads), inner: tensor(kept.inner) };
}

// Those of a layer that are no linear map's: its norms'.
function normParameters(layer: TransformerLayer): Map<string, Tensor> {
  const ofLinears = new Set(linearSites.flatMap((site) => [layer.linears[site].weight, layer.linears[site].bias]));
  return new Map(namedParameters(layer).entries().filter(([, tensor]) => !ofLinears.has(tensor)));
}
