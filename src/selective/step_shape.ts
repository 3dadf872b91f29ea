// The sizes of a training step that its bytes and multiplications follow from.

import type { Backbone, SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { precedingOf } from "../models/preceding.ts";
import { type Module, trainedParameters } from "../nn/module.ts";
import { hasBfloat16Arithmetic } from "../torch/mod.ts";
import { defaultRowsPerBlock } from "./batch.ts";
import type { DerivedBytes } from "./derived_bytes.ts";
import type { Precision } from "./gradients.ts";
import { isStateKept, type KeptStates } from "./kept_states.ts";
import { selectionCount, type SelectionSize } from "./positions.ts";

/** The step whose sizes are asked for: its largest batch, and how it is made. */
export interface PlannedStep {
  /** Tokens of each sequence. */
  readonly lengths: readonly number[];
  readonly k: SelectionSize;
  readonly precision: Precision;
  readonly optimizerInBackward: boolean;
  /** Of parameters that others are computed from; null where none are. Default null. */
  readonly derived?: DerivedBytes | null;
}

/** The sizes that the bytes and multiplications of a step follow from. */
export interface Shape {
  readonly layers: number;
  /** The lowest layer that trains: -1 when the embeddings do, the number of layers when only the head does. */
  readonly lowest: number;
  readonly size: number;
  readonly inner: number;
  /** Elements of a row that what is put at the ends of a layer's halves keeps for backward, in the layer with the most. */
  readonly atEnds: number;
  /** Whether the feed-forward's activation is GELU, whose gradient needs no memory of its own. */
  readonly hasGelu: boolean;
  readonly heads: number;
  readonly hasDropout: boolean;
  readonly isCausal: boolean;
  readonly selected: number;
  readonly rest: number;
  /** The most keys that a query sees: those of the longest sequence, and those before it. */
  readonly longest: number;
  /** The tokens that a language model chooses from at each selected position; 0 in other models. */
  readonly vocabulary: number;
  readonly blockRows: number;
  /** Keys that a block has beyond its rows. */
  readonly blockPrefix: number;
  readonly weightBytes: number;
  readonly elementBytes: number;
  /** Of an element's copy in the type that is multiplied; 0 where that is its own. */
  readonly copyBytes: number;
}

/** The sizes of a step of this model. */
export function shapeOf(model: SequenceClassifier, { lengths, k, precision }: PlannedStep): Shape {
  const { backbone } = model;
  const { keys, tokenIds } = precedingOf(backbone);
  const tokens = tokenIds.length * lengths.length;
  const rows = sum(lengths) + tokens;
  const selected = sum(lengths.map((length) => selectionCount(length, k))) + tokens;
  const longest = Math.max(...lengths) + tokenIds.length;
  const blockRows = Math.min(rows, Math.max(defaultRowsPerBlock(backbone.device), longest));
  const weightBytes = backbone.dtype === "float64" ? 8 : 4;
  const isNarrow = precision === "bf16";
  return {
    layers: backbone.layers.length,
    lowest: lowestTrained(backbone),
    size: backbone.hiddenSize,
    inner: backbone.intermediateSize,
    atEnds: Math.max(0, ...backbone.layers.map(keptAtEnds)),
    hasGelu: backbone.activation.gelu !== undefined,
    heads: backbone.numAttentionHeads,
    hasDropout: backbone.attentionDropout.probability > 0,
    isCausal: backbone.isCausal,
    selected,
    rest: rows - selected,
    longest: longest + keys,
    vocabulary: model.pooling === "each" ? model.numLabels : 0,
    blockRows,
    blockPrefix: keys * blockRows * lengths.length / rows,
    weightBytes,
    elementBytes: isNarrow ? 2 : weightBytes,
    copyBytes: isNarrow && !hasBfloat16Arithmetic(backbone.device) ? 4 : 0,
  };
}

function keptAtEnds({ ends }: TransformerLayer): number {
  return sum([ends.attention, ends.feedForward].map(({ adapter }) => adapter?.keptElements ?? 0));
}

/** The lowest layer that is trained: -1 when the embeddings are, the number of layers when only the head is. */
export function lowestTrained({ embeddings, layers }: Backbone): number {
  const isTrained = (part: Module): boolean => trainedParameters(part).length > 0;
  const lowest = layers.findIndex(isTrained);
  return isTrained(embeddings) ? -1 : lowest < 0 ? layers.length : lowest;
}

/** The bytes of the parameters that train. */
export function trainedBytes(part: Module): number {
  return sum(trainedParameters(part).map(({ byteLength }) => byteLength));
}

/** Whether recompute keeps the input of this layer at the rest. */
export function keepsRest({ lowest, layers }: Shape, keptStates: KeptStates, index: number): boolean {
  return isStateKept(keptStates, index, { layers, lowest });
}

/** From 0 on. */
export function layerNumbers({ layers }: Shape): number[] {
  return Array.from({ length: layers }, (_, index) => index);
}

/** Those that backward goes through. */
export function trainedLayers(shape: Shape): number[] {
  return layerNumbers(shape).filter((index) => index >= shape.lowest);
}

/** The sum of numbers. */
export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
