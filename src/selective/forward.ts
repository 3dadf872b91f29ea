// Split mode: selected rows run with gradients, the rest without; attention alone looks from one part to the other.

import type { Backbone, SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { attention, splitHeads } from "../nn/attention.ts";
import {
  cat,
  copy_,
  empty,
  type Generator,
  isGradEnabled,
  matmul,
  noGrad,
  scope,
  type Tensor,
  zeroGradAt,
} from "../torch/mod.ts";
import type { PackedBatch } from "./batch.ts";
import { type Block, type PartOfBlock, rowsOf, toRectangle, withoutPadding } from "./layout.ts";

/** The hidden states of both parts, `[N_selected, d]` and `[N_rest, d]`; no rest after the last layer. */
export interface HiddenStates {
  readonly selected: Tensor;
  readonly rest: Tensor | null;
}

/** Dropout's generators: one for each part, so that the selected rows' masks can be drawn again alone. */
export interface DropoutRandom {
  readonly selected: Generator;
  readonly rest: Generator;
}

/**
 * Logits `[B, numLabels]` of a packed batch, in the order of its sequences.
 *
 * Each layer is h_G' = layer(h_G; K, V of G and R) with gradients and h_R' = layer(h_R; K, V of G and R) without
 * (Simoulin et al. 2023, section 2). In a batch for masked mode every row runs with gradients, and hooks on each
 * layer's hidden states, keys and values set them to zero at the rows that are not selected. A batch in which every
 * position is selected is full fine-tuning; under `noGrad` it is inference.
 *
 * @param random null in evaluation: no dropout
 */
export function forward(model: SequenceClassifier, batch: PackedBatch, random: DropoutRandom | null): Tensor {
  return scope(() => {
    const { selected } = encode(model.backbone, batch, random);
    return classify(model, batch, selected, random);
  });
}

/** Logits of the last layer's selected rows. */
export function classify(
  model: SequenceClassifier,
  batch: PackedBatch,
  last: Tensor,
  random: DropoutRandom | null,
): Tensor {
  return scope(() => {
    const states = model.backbone.finalNorm?.forward(last) ?? last;
    return model.classify(matmul(batch.pool, states), random?.selected ?? null);
  });
}

function encode(model: Backbone, batch: PackedBatch, random: DropoutRandom | null): HiddenStates {
  return scope(() => {
    let hidden = embed(model, batch, random);
    for (const layer of model.layers) {
      const isLast = layer === model.layers.at(-1);
      const next = runLayer(model, layer, hidden, batch, random, isLast);
      hidden.selected.dispose();
      hidden.rest?.dispose();
      hidden = next;
    }
    return hidden;
  });
}

export function embed(model: Backbone, batch: PackedBatch, random: DropoutRandom | null): HiddenStates {
  const selected = model.embed(batch.selected, random?.selected ?? null);
  stopGradients(batch, selected);
  const rest = batch.layout.restRows > 0 ? noGrad(() => model.embed(batch.rest, random?.rest ?? null)) : null;
  return { selected, rest };
}

export function runLayer(
  model: Backbone,
  layer: TransformerLayer,
  hidden: HiddenStates,
  batch: PackedBatch,
  random: DropoutRandom | null,
  isLast: boolean,
): HiddenStates {
  return scope(() => {
    const projected = project(layer, hidden.selected, batch);
    const rest = hidden.rest !== null && !isLast ? emptyLike(hidden.rest) : null;
    const isInference = random === null && !isGradEnabled();
    const parts = batch.layout.blocks.map((block) => {
      const context = runBlock({ model, layer, block, projected, random }, hidden.rest, rest);
      return isInference ? finishBlock(layer, rowsOf(hidden.selected, block.selected), context) : context;
    });
    const joined = joinRows(parts);
    const selected = isInference ? joined : layer.afterAttention(hidden.selected, joined, random?.selected ?? null);
    stopGradients(batch, selected);
    return { selected, rest };
  });
}

interface Projected {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
}

function project(layer: TransformerLayer, hidden: Tensor, batch: PackedBatch): Projected {
  const input = layer.attentionInput(hidden);
  const projected = {
    query: layer.query.forward(input),
    key: layer.key.forward(input),
    value: layer.value.forward(input),
  };
  stopGradients(batch, projected.key, projected.value);
  return projected;
}

interface BlockOfLayer {
  readonly model: Backbone;
  readonly layer: TransformerLayer;
  readonly block: Block;
  readonly projected: Projected;
  readonly random: DropoutRandom | null;
}

// The attention of a block's selected rows; the block's other rows go through the whole layer into `restOutput`.
function runBlock(at: BlockOfLayer, rest: Tensor | null, restOutput: Tensor | null): Tensor {
  const { model, layer, block, projected, random } = at;
  const heads = model.numAttentionHeads;
  return scope(() => {
    const restRows = rest !== null && block.rest.count > 0 ? rowsOf(rest, block.rest) : null;
    const restInput = restRows && noGrad(() => layer.attentionInput(restRows));
    const inHeads = (rows: Tensor, part: PartOfBlock): Tensor => splitHeads(toRectangle(rows, part), heads);
    const join = (rows: Tensor, ofRest: (input: Tensor) => Tensor): Tensor => {
      const ofSelected = inHeads(rowsOf(rows, block.selected), block.selected);
      return restInput === null
        ? ofSelected
        : cat([ofSelected, noGrad(() => inHeads(ofRest(restInput), block.rest))], 2);
    };
    const key = join(projected.key, (input) => layer.key.forward(input));
    const value = join(projected.value, (input) => layer.value.forward(input));
    const attend = (query: Tensor, part: PartOfBlock, generator: Generator | null): Tensor => {
      const bias = part === block.rest ? block.restBias : block.selectedBias;
      const options = { bias, dropout: model.attentionDropout, random: generator };
      return withoutPadding(attention(inHeads(query, part), key, value, options), part);
    };
    if (restOutput !== null && restRows !== null && restInput !== null) {
      noGrad(() => {
        const context = attend(layer.query.forward(restInput), block.rest, random?.rest ?? null);
        copy_(rowsOf(restOutput, block.rest), layer.afterAttention(restRows, context, random?.rest ?? null));
      });
    }
    return attend(rowsOf(projected.query, block.selected), block.selected, random?.selected ?? null);
  });
}

// Inference finishes the layer block by block, which bounds the feed-forward's workspace.
function finishBlock(layer: TransformerLayer, hidden: Tensor, context: Tensor): Tensor {
  const output = layer.afterAttention(hidden, context, null);
  context.dispose();
  return output;
}

function stopGradients(batch: PackedBatch, ...tensors: readonly Tensor[]): void {
  if (batch.gradientStops === null) return;
  for (const tensor of tensors) zeroGradAt(tensor, batch.gradientStops);
}

function joinRows(parts: readonly Tensor[]): Tensor {
  const [only] = parts;
  return parts.length === 1 && only ? only : cat(parts);
}

function emptyLike(tensor: Tensor): Tensor {
  return empty(tensor.shape, { dtype: tensor.dtype, device: tensor.device });
}
