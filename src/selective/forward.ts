// Split mode: selected rows run with gradients, the rest without; attention alone looks from one part to the other.

import type { Backbone, SequenceClassifier } from "../models/contract.ts";
import {
  type Device,
  type DType,
  indexAdd_,
  indexSelect,
  mul,
  noGrad,
  scope,
  type Tensor,
  to,
  zeros,
} from "../torch/mod.ts";
import { type DropoutRandom, type HiddenStates, stopGradients } from "./attend.ts";
import type { PackedBatch } from "./batch.ts";
import { encodeBeside } from "./beside.ts";
import { disposeStates, runLayer } from "./run_layer.ts";

/**
 * Logits `[P, numLabels]` of a packed batch: of its sequences in their order, or for a language model of the selected
 * positions of the first sequence, then of the next.
 *
 * Each layer is h_G' = layer(h_G; K, V of G and R) with gradients and h_R' = layer(h_R; K, V of G and R) without
 * (Simoulin et al. 2023, section 2). In a batch for masked mode every row runs with gradients, and hooks on each
 * layer's hidden states, keys and values set them to zero at the rows that are not selected. A batch in which every
 * position is selected is full fine-tuning; under `noGrad` it is inference. Where a network stands beside the backbone,
 * its layers run so, and the backbone as in inference.
 *
 * @param random null in evaluation: no dropout
 */
export function forward(model: SequenceClassifier, batch: PackedBatch, random: DropoutRandom | null): Tensor {
  return scope(() => model.classify(pool(model, batch, random), random?.selected ?? null));
}

/** What {@linkcode forward} gives the head to read: `[P, hiddenSize]`. */
export function pool(model: SequenceClassifier, batch: PackedBatch, random: DropoutRandom | null): Tensor {
  return scope(() => poolRows(model, batch, encode(model.backbone, batch, random).selected));
}

/** What the head reads of the last layer's selected rows: `[P, hiddenSize]`, in the type of the weights. */
export function poolRows({ backbone }: SequenceClassifier, batch: PackedBatch, last: Tensor): Tensor {
  return scope(() => {
    const states = backbone.finalNorm?.forward(last) ?? last;
    const { size, rows, outputs, weights } = batch.pool;
    const read = mul(to(indexSelect(states, 0, rows), { dtype: weights.dtype }), weights);
    return indexAdd_(zeros([size, states.length(1)], placeOf(weights)), 0, outputs, read);
  });
}

/** The gradient at the selected rows `[N_selected, d]`, of type `dtype`, from that at what the head reads of them. */
export function poolBackward(batch: PackedBatch, gradient: Tensor, dtype: DType): Tensor {
  return scope(() => {
    const { rows, outputs, weights } = batch.pool;
    const read = to(mul(indexSelect(gradient, 0, outputs), weights), { dtype });
    return indexAdd_(zeros([batch.layout.selectedRows, gradient.length(1)], placeOf(read)), 0, rows, read);
  });
}

function placeOf({ dtype, device }: Tensor): { readonly dtype: DType; readonly device: Device } {
  return { dtype, device };
}

function encode(model: Backbone, batch: PackedBatch, random: DropoutRandom | null): HiddenStates {
  const { network } = model.side;
  if (network !== null) return encodeBeside(model, network, batch, random);
  return throughLayers(model, batch, random, model.layers.length);
}

/** What the layers below number `end` give, of the embeddings: nothing above is computed. */
export function throughLayers(
  model: Backbone,
  batch: PackedBatch,
  random: DropoutRandom | null,
  end: number,
): HiddenStates {
  return scope(() => {
    let hidden = embed(model, batch, random);
    for (const layer of model.layers.slice(0, end)) {
      const next = runLayer({ model, layer, batch, random }, hidden, layer !== model.layers.at(-1));
      disposeStates(hidden);
      hidden = next;
    }
    return hidden;
  });
}

function embed(model: Backbone, batch: PackedBatch, random: DropoutRandom | null): HiddenStates {
  const selected = model.embed(batch.selected, random?.selected ?? null);
  stopGradients(batch, selected);
  const rest = batch.layout.restRows > 0 ? noGrad(() => model.embed(batch.rest, random?.rest ?? null)) : null;
  return { selected, rest };
}
