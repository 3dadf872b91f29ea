// An encoder of post-norm layers: BERT's, and of those that differ from it in sizes, keys and where dropout is.

import type { Activation } from "../nn/activation.ts";
import { Dropout } from "../nn/dropout.ts";
import { Embedding } from "../nn/embedding.ts";
import { LayerNorm } from "../nn/layer_norm.ts";
import { Linear } from "../nn/linear.ts";
import type { Module, ParameterOptions } from "../nn/module.ts";
import { PrefixSlot } from "../nn/prefix_slot.ts";
import { SublayerEnd } from "../nn/sublayer_end.ts";
import { add_, addScalar, type Generator, mulScalar, scope, type Tensor } from "../torch/mod.ts";
import type { Backbone, LinearSite, RowInputs, TransformerLayer } from "./contract.ts";
import { SidePlace } from "./side_network.ts";

/** The sizes of an encoder, and the probabilities of its dropout. */
export interface EncoderShape {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** The width of the feed-forward. */
  readonly intermediateSize: number;
  readonly maxPositions: number;
  /** The row of the first position in the table of positions; that before it, if there is one, is the padding's. */
  readonly positionOffset: number;
  /** 0 where tokens have no types; with one, every token is of it. */
  readonly typeVocabSize: number;
  readonly padTokenId: number;
  readonly layerNormEps: number;
  /** Of the embeddings, and of what the feed-forward gives. */
  readonly dropout: number;
  /** Of what attention's output map gives. */
  readonly attentionOutputDropout: number;
  /** Of attention's probabilities. */
  readonly attentionDropout: number;
  readonly activation: Activation;
}

/** The parts of a layer that have parameters. */
export interface LayerParts extends Readonly<Record<LinearSite, Linear>> {
  readonly attentionNorm: LayerNorm;
  readonly outputNorm: LayerNorm;
}

/** What a checkpoint calls an encoder's parts. */
export interface EncoderKeys {
  /** The module that holds the layers. */
  readonly encoder: string;
  /** The parts of a layer under their names. */
  readonly layer: (parts: LayerParts) => Readonly<Record<string, Module>>;
}

class Embeddings implements Module {
  readonly children: Readonly<Record<string, Module>>;
  readonly words: Embedding;
  readonly #positions: Embedding;
  readonly #tokenTypes: Embedding | null;
  readonly #norm: LayerNorm;
  readonly #dropout: Dropout;
  readonly #positionOffset: number;

  constructor(shape: EncoderShape, options: ParameterOptions) {
    const { hiddenSize, positionOffset, padTokenId, typeVocabSize } = shape;
    this.words = new Embedding(shape.vocabSize, hiddenSize, {
      ...options,
      paddingIndex: padTokenId,
      hasSparseGradient: true,
    });
    this.#positions = new Embedding(shape.maxPositions + positionOffset, hiddenSize, {
      ...options,
      paddingIndex: positionOffset - 1,
    });
    this.#tokenTypes = typeVocabSize > 0 ? new Embedding(typeVocabSize, hiddenSize, options) : null;
    this.#norm = new LayerNorm(hiddenSize, shape.layerNormEps, options);
    this.#dropout = new Dropout(shape.dropout);
    this.#positionOffset = positionOffset;
    this.children = {
      word_embeddings: this.words,
      position_embeddings: this.#positions,
      ...(this.#tokenTypes && { token_type_embeddings: this.#tokenTypes }),
      LayerNorm: this.#norm,
    };
  }

  forward(rows: RowInputs, random: Generator | null): Tensor {
    return scope(() => {
      const sum = this.words.forward(rows.inputIds);
      if (this.#tokenTypes) add_(sum, this.#tokenTypes.forward(this.#typesOf(this.#tokenTypes, rows)));
      add_(sum, this.#positions.forward(addScalar(rows.positionIds, this.#positionOffset)));
      return this.#dropout.applyInPlace(this.#norm.forward(sum), random);
    });
  }

  // Tokenizers count the texts of a pair even where the model has one type for both.
  #typesOf({ count }: Embedding, { tokenTypeIds }: RowInputs): Tensor {
    return count > 1 ? tokenTypeIds : mulScalar(tokenTypeIds, 0);
  }
}

class PostNormLayer implements TransformerLayer {
  readonly children: Readonly<Record<string, Module>>;
  readonly linears: TransformerLayer["linears"];
  readonly ends: TransformerLayer["ends"];
  readonly prefix = new PrefixSlot();
  readonly #activation: Activation;

  constructor(shape: EncoderShape, keys: EncoderKeys, options: ParameterOptions) {
    const { hiddenSize, intermediateSize, layerNormEps } = shape;
    const attentionNorm = new LayerNorm(hiddenSize, layerNormEps, options);
    const outputNorm = new LayerNorm(hiddenSize, layerNormEps, options);
    this.linears = {
      query: new Linear(hiddenSize, hiddenSize, options),
      key: new Linear(hiddenSize, hiddenSize, options),
      value: new Linear(hiddenSize, hiddenSize, options),
      attentionOutput: new Linear(hiddenSize, hiddenSize, options),
      intermediate: new Linear(hiddenSize, intermediateSize, options),
      output: new Linear(intermediateSize, hiddenSize, options),
    };
    this.ends = {
      attention: new SublayerEnd(new Dropout(shape.attentionOutputDropout), attentionNorm),
      feedForward: new SublayerEnd(new Dropout(shape.dropout), outputNorm),
    };
    this.#activation = shape.activation;
    const parts = keys.layer({ ...this.linears, attentionNorm, outputNorm });
    this.children = {
      ...{ ...parts, prefix: this.prefix },
      ...{ attention_end: this.ends.attention, output_end: this.ends.feedForward },
    };
  }

  attentionInput(hidden: Tensor): Tensor {
    return hidden;
  }

  afterAttention(hidden: Tensor, context: Tensor, random: Generator | null): Tensor {
    const { attentionOutput, intermediate, output } = this.linears;
    return scope(() => {
      const attended = scope(() =>
        this.ends.attention.forward(attentionOutput.forward(context, random), hidden, random)
      );
      const dense = scope(() =>
        output.forwardActivated(intermediate.forward(attended, random), this.#activation, random)
      );
      return this.ends.feedForward.forward(dense, attended, random);
    });
  }
}

/** An encoder without a pooler or a head. */
export function postNormEncoder(shape: EncoderShape, keys: EncoderKeys, options: ParameterOptions): Backbone {
  const { hiddenSize, numAttentionHeads, intermediateSize, activation, maxPositions, vocabSize } = shape;
  const embeddings = new Embeddings(shape, options);
  const layers = Array.from({ length: shape.numHiddenLayers }, () => new PostNormLayer(shape, keys, options));
  const layer = { children: Object.fromEntries(layers.entries()) };
  const side = new SidePlace();
  return {
    ...{ hiddenSize, numAttentionHeads, intermediateSize, activation, maxPositions, vocabSize },
    ...{ device: options.device ?? "cpu", dtype: options.dtype ?? "float32" },
    ...{ attentionDropout: new Dropout(shape.attentionDropout), isCausal: false },
    ...{ embeddings, words: embeddings.words, layers, finalNorm: null, side },
    children: { embeddings, [keys.encoder]: { children: { layer } }, side_network: side },
    embed: (rows, random) => embeddings.forward(rows, random),
    createLayer: (reduction) => new PostNormLayer(narrowed(shape, reduction), keys, options),
  };
}

function narrowed(shape: EncoderShape, reduction: number): EncoderShape {
  const { hiddenSize, intermediateSize } = shape;
  return { ...shape, hiddenSize: hiddenSize / reduction, intermediateSize: intermediateSize / reduction };
}
