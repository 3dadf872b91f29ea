// What every architecture gives: pieces that work on packed rows, so that others decide which rows run where.

import type { Activation } from "../nn/activation.ts";
import type { Dropout } from "../nn/dropout.ts";
import type { Embedding } from "../nn/embedding.ts";
import type { Linear } from "../nn/linear.ts";
import type { Module, ParameterOptions } from "../nn/module.ts";
import type { PrefixSlot } from "../nn/prefix_slot.ts";
import type { SublayerEnd } from "../nn/sublayer_end.ts";
import type { Device, DType, Generator, Tensor } from "../torch/mod.ts";
import type { ConfigReader } from "./config.ts";
import type { SidePlace } from "./side_network.ts";

/** The inputs of N packed rows: token, position and segment of each, `[N]` int64. */
export interface RowInputs {
  readonly inputIds: Tensor;
  readonly positionIds: Tensor;
  readonly tokenTypeIds: Tensor;
}

/** The linear maps of a layer, whatever the architecture calls them: attention's four and the feed-forward's two. */
export const linearSites = ["query", "key", "value", "attentionOutput", "intermediate", "output"] as const;

/** One of them. */
export type LinearSite = typeof linearSites[number];

/** One layer, in the parts around attention; only attention looks at other rows. */
export interface TransformerLayer extends Module {
  readonly linears: Readonly<Record<LinearSite, Linear>>;
  /** How its halves end. */
  readonly ends: Readonly<Record<"attention" | "feedForward", SublayerEnd>>;
  /** Keys and values that every query sees before those of its sequence. */
  readonly prefix: PrefixSlot;
  /** What queries, keys and values are made of: the hidden states, normalised first where the architecture does so. */
  attentionInput(hidden: Tensor): Tensor;
  /** The layer's output `[N, hiddenSize]` from its input and the attention's result, both `[N, hiddenSize]`. */
  afterAttention(hidden: Tensor, context: Tensor, random: Generator | null): Tensor;
}

/** A module that maps each row `[N, d]` by itself. */
export interface RowModule extends Module {
  forward(rows: Tensor): Tensor;
}

/** An encoder without a head. */
export interface Backbone extends Module {
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  /** The width of the feed-forward. */
  readonly intermediateSize: number;
  /** Between the feed-forward's two maps. */
  readonly activation: Activation;
  readonly maxPositions: number;
  readonly vocabSize: number;
  readonly device: Device;
  readonly dtype: DType;
  readonly attentionDropout: Dropout;
  /** Whether a position attends to none after it. */
  readonly isCausal: boolean;
  readonly embeddings: Module;
  /** The part of the embeddings that has a row for each token. */
  readonly words: Embedding;
  readonly layers: readonly TransformerLayer[];
  /** What the last layer's output still goes through, a norm or a projection; null where that is nothing. */
  readonly finalNorm: RowModule | null;
  /** Where a network can stand beside it. */
  readonly side: SidePlace;
  /** Embeds rows: `[N, hiddenSize]`. */
  embed(rows: RowInputs, random: Generator | null): Tensor;
  /** A further layer of its kind and with as many heads, so many times narrower, with uninitialised parameters. */
  createLayer(reduction: number): TransformerLayer;
}

/** What of the last hidden states a classifier's head can read. */
export const poolings = ["mean", "cls", "last"] as const;

/**
 * What of the last hidden states the head reads: their mean over the positions (the paper's, section 2.2), the first
 * position's (an encoder's standard head), or the last one's (the standard head where each position sees those before
 * it alone). A language model's reads `each` selected position by itself.
 */
export type Pooling = typeof poolings[number] | "each";

/**
 * An encoder with a head that gives each sequence `numLabels` outputs; regression has one. A language model gives each
 * selected position as many as there are tokens: predicting the next one is a classification over the vocabulary.
 */
export interface SequenceClassifier extends Module {
  readonly backbone: Backbone;
  readonly head: Module;
  readonly pooling: Pooling;
  readonly numLabels: number;
  /** Further keys of parameters, which a checkpoint may hold beside their own: key to own key. */
  readonly tiedKeys?: Readonly<Record<string, string>>;
  /** Logits `[P, numLabels]` of pooled hidden states `[P, hiddenSize]`. */
  classify(pooled: Tensor, random: Generator | null): Tensor;
}

/** What a head is made with. */
export interface HeadOptions {
  readonly numLabels: number;
  readonly pooling: Pooling;
}

/** An architecture: one file that reads its configuration and makes its modules. */
export interface Architecture {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** What the keys of the backbone begin with in a checkpoint that has a head. */
  readonly basePrefix: string;
  /** The name of the standard model class, for `architectures` in config.json. */
  readonly classifierName: string;
  /** What its heads read; the first is the standard head's. Default `cls`, `mean`. */
  readonly poolings?: readonly [Pooling, ...Pooling[]];
  /** Keys of the standard head: a checkpoint may lack them, and for another head they may be left unread. */
  readonly headKeys: readonly RegExp[];
  /** Keys of its last layer, which is new when the labels are. Default: those that begin with `classifier.`. */
  readonly outputKeys?: RegExp;
  /** Modules of the standard head, and those of the head on the mean that start from them where they are alone. */
  readonly headFallbacks: Readonly<Record<string, string>>;
  /** Keys of other tasks' heads and of buffers, which a checkpoint may hold and a classifier does not need. */
  readonly ignoredKeys: readonly RegExp[];
  /** A classifier with uninitialised parameters. */
  createClassifier(config: ConfigReader, head: HeadOptions, options: ParameterOptions): SequenceClassifier;
  /** How it predicts the next token, where it does. */
  readonly languageModel?: LanguageModelMaker;
}

/** The language model of a causal architecture. */
export interface LanguageModelMaker {
  /** The name of the standard model class, for `architectures` in config.json. */
  readonly className: string;
  /** A model with uninitialised parameters, whose head reads `each` position. */
  create(config: ConfigReader, options: ParameterOptions): SequenceClassifier;
}
