// OPT (Zhang et al. 2022): causal, pre-norm layers (post-norm in the size 350m), ReLU, learned positions.

import type { Activation } from "../nn/activation.ts";
import { Dropout } from "../nn/dropout.ts";
import { Embedding } from "../nn/embedding.ts";
import { LayerNorm } from "../nn/layer_norm.ts";
import { Linear } from "../nn/linear.ts";
import { linearMap } from "../nn/linear_map.ts";
import type { Module, ParameterOptions } from "../nn/module.ts";
import { PrefixSlot } from "../nn/prefix_slot.ts";
import { Projection } from "../nn/projection.ts";
import { SublayerEnd } from "../nn/sublayer_end.ts";
import { add_, addScalar, type Generator, scope, type Tensor } from "../torch/mod.ts";
import type { ConfigReader } from "./config.ts";
import type {
  Architecture,
  Backbone,
  HeadOptions,
  RowInputs,
  RowModule,
  SequenceClassifier,
  TransformerLayer,
} from "./contract.ts";
import { withMeanHead } from "./mean_head.ts";
import { SidePlace } from "./side_network.ts";

interface OptConfig {
  readonly vocabSize: number;
  readonly wordEmbedProjDim: number;
  readonly hiddenSize: number;
  readonly ffnDim: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly maxPositionEmbeddings: number;
  readonly padTokenId: number;
  readonly dropout: number;
  readonly attentionDropout: number;
  readonly doLayerNormBefore: boolean;
  readonly activationFunction: Activation;
  readonly tieWordEmbeddings: boolean;
}

// What models of this name may also have, and none of the published sizes has.
const onlySupported: Readonly<Record<string, boolean | number>> = {
  enable_bias: true,
  layer_norm_elementwise_affine: true,
  layerdrop: 0,
  _remove_final_layer_norm: false,
};

function readConfig(config: ConfigReader): OptConfig {
  config.only(onlySupported);
  const hiddenSize = config.count("hidden_size");
  return {
    vocabSize: config.count("vocab_size"),
    wordEmbedProjDim: config.count("word_embed_proj_dim", hiddenSize),
    hiddenSize,
    ffnDim: config.count("ffn_dim"),
    numHiddenLayers: config.layerCount("num_hidden_layers"),
    numAttentionHeads: config.divisor("num_attention_heads", "hidden_size"),
    maxPositionEmbeddings: config.count("max_position_embeddings"),
    padTokenId: config.tokenId("pad_token_id", 1),
    dropout: config.probability("dropout", 0.1),
    attentionDropout: config.probability("attention_dropout", 0),
    doLayerNormBefore: config.flag("do_layer_norm_before", true),
    activationFunction: config.activation("activation_function", "relu"),
    tieWordEmbeddings: config.flag("tie_word_embeddings", true),
  };
}

// The published weights keep the rows before the first position's.
const positionOffset = 2;

const layerNormEps = 1e-5;

class OptEmbeddings implements Module {
  readonly children: Readonly<Record<string, Module>>;
  readonly words: Embedding;
  readonly #positions: Embedding;
  readonly #projectIn: Projection | null;

  constructor(config: OptConfig, options: ParameterOptions) {
    const { hiddenSize, wordEmbedProjDim } = config;
    this.words = new Embedding(config.vocabSize, wordEmbedProjDim, {
      ...options,
      paddingIndex: config.padTokenId,
      hasSparseGradient: true,
    });
    this.#positions = new Embedding(config.maxPositionEmbeddings + positionOffset, hiddenSize, options);
    this.#projectIn = wordEmbedProjDim === hiddenSize ? null : new Projection(wordEmbedProjDim, hiddenSize, options);
    this.children = {
      embed_tokens: this.words,
      embed_positions: this.#positions,
      ...(this.#projectIn && { project_in: this.#projectIn }),
    };
  }

  forward(rows: RowInputs): Tensor {
    return scope(() => {
      const tokens = this.words.forward(rows.inputIds);
      const hidden = this.#projectIn?.forward(tokens) ?? tokens;
      return add_(hidden, this.#positions.forward(addScalar(rows.positionIds, positionOffset)));
    });
  }
}

class OptLayer implements TransformerLayer {
  readonly children: Readonly<Record<string, Module>>;
  readonly linears: TransformerLayer["linears"];
  readonly ends: TransformerLayer["ends"];
  readonly prefix = new PrefixSlot();
  readonly #attentionNorm: LayerNorm;
  readonly #outputNorm: LayerNorm;
  readonly #activation: Activation;
  readonly #isPreNorm: boolean;

  constructor(config: OptConfig, options: ParameterOptions) {
    const { hiddenSize, ffnDim } = config;
    const square = (): Linear => new Linear(hiddenSize, hiddenSize, options);
    const [query, key, value, attentionOutput] = [square(), square(), square(), square()];
    const intermediate = new Linear(hiddenSize, ffnDim, options);
    const output = new Linear(ffnDim, hiddenSize, options);
    this.linears = { query, key, value, attentionOutput, intermediate, output };
    this.#attentionNorm = new LayerNorm(hiddenSize, layerNormEps, options);
    this.#outputNorm = new LayerNorm(hiddenSize, layerNormEps, options);
    this.#activation = config.activationFunction;
    this.#isPreNorm = config.doLayerNormBefore;
    const end = (norm: LayerNorm): SublayerEnd =>
      new SublayerEnd(new Dropout(config.dropout), this.#isPreNorm ? null : norm);
    this.ends = { attention: end(this.#attentionNorm), feedForward: end(this.#outputNorm) };
    this.children = {
      self_attn: { children: { q_proj: query, k_proj: key, v_proj: value, out_proj: attentionOutput } },
      self_attn_layer_norm: this.#attentionNorm,
      fc1: intermediate,
      fc2: output,
      final_layer_norm: this.#outputNorm,
      prefix: this.prefix,
      ...{ attention_end: this.ends.attention, output_end: this.ends.feedForward },
    };
  }

  attentionInput(hidden: Tensor): Tensor {
    return this.#isPreNorm ? this.#attentionNorm.forward(hidden) : hidden;
  }

  afterAttention(hidden: Tensor, context: Tensor, random: Generator | null): Tensor {
    const { attentionOutput, intermediate, output } = this.linears;
    return scope(() => {
      const attended = this.ends.attention.forward(attentionOutput.forward(context, random), hidden, random);
      const inner = intermediate.forward(this.#isPreNorm ? this.#outputNorm.forward(attended) : attended, random);
      const dense = output.forwardActivated(inner, this.#activation, random);
      return this.ends.feedForward.forward(dense, attended, random);
    });
  }
}

// What follows the layers: LayerNorm in a pre-norm model, and the way back to the size of the word embeddings.
class OptOutput implements RowModule {
  readonly children: Readonly<Record<string, Module>>;
  readonly #norm: LayerNorm | null;
  readonly #projectOut: Projection | null;

  constructor({ hiddenSize, wordEmbedProjDim, doLayerNormBefore }: OptConfig, options: ParameterOptions) {
    this.#norm = doLayerNormBefore ? new LayerNorm(hiddenSize, layerNormEps, options) : null;
    this.#projectOut = wordEmbedProjDim === hiddenSize ? null : new Projection(hiddenSize, wordEmbedProjDim, options);
    this.children = {
      ...(this.#norm && { final_layer_norm: this.#norm }),
      ...(this.#projectOut && { project_out: this.#projectOut }),
    };
  }

  forward(rows: Tensor): Tensor {
    return scope(() => {
      const normalised = this.#norm?.forward(rows) ?? rows;
      return this.#projectOut?.forward(normalised) ?? normalised;
    });
  }
}

function optModel(config: OptConfig, options: ParameterOptions): Backbone {
  const { hiddenSize, numAttentionHeads, ffnDim, activationFunction, maxPositionEmbeddings, vocabSize } = config;
  const embeddings = new OptEmbeddings(config, options);
  const finalNorm = new OptOutput(config, options);
  const layers = Array.from({ length: config.numHiddenLayers }, () => new OptLayer(config, options));
  const inOrder = { children: Object.fromEntries(layers.entries()) };
  const side = new SidePlace();
  return {
    ...{ hiddenSize, numAttentionHeads, intermediateSize: ffnDim, activation: activationFunction },
    ...{ maxPositions: maxPositionEmbeddings, vocabSize },
    ...{ device: options.device ?? "cpu", dtype: options.dtype ?? "float32" },
    ...{ attentionDropout: new Dropout(config.attentionDropout), isCausal: true },
    ...{ embeddings, words: embeddings.words, layers, finalNorm, side },
    children: {
      decoder: { children: { ...embeddings.children, ...finalNorm.children, layers: inOrder } },
      side_network: side,
    },
    embed: (rows) => embeddings.forward(rows),
    createLayer: (reduction) =>
      new OptLayer({ ...config, hiddenSize: hiddenSize / reduction, ffnDim: ffnDim / reduction }, options),
  };
}

// The standard head: a map of the last position, without a bias.
class OptClassifier implements SequenceClassifier {
  readonly children: Readonly<Record<string, Module>>;
  readonly backbone: Backbone;
  readonly head: Module;
  readonly pooling = "last";
  readonly #score: Projection;

  constructor(config: OptConfig, readonly numLabels: number, options: ParameterOptions) {
    this.#score = new Projection(config.wordEmbedProjDim, numLabels, options);
    this.backbone = optModel(config, options);
    this.head = { children: { score: this.#score } };
    this.children = { model: this.backbone, score: this.#score };
  }

  classify(pooled: Tensor): Tensor {
    return this.#score.forward(pooled);
  }
}

// A tied head has no parameter of its own: it reads that of the embeddings, which trains, or is frozen, with them.
class OptLanguageModel implements SequenceClassifier {
  readonly children: Readonly<Record<string, Module>>;
  readonly backbone: Backbone;
  readonly head: Module;
  readonly pooling = "each";
  readonly numLabels: number;
  readonly tiedKeys: Readonly<Record<string, string>>;
  readonly #output: Projection | null;

  constructor(config: OptConfig, options: ParameterOptions) {
    const { vocabSize, wordEmbedProjDim, tieWordEmbeddings } = config;
    this.numLabels = vocabSize;
    this.backbone = optModel(config, options);
    this.#output = tieWordEmbeddings ? null : new Projection(wordEmbedProjDim, vocabSize, options);
    this.tiedKeys = tieWordEmbeddings ? { "lm_head.weight": "model.decoder.embed_tokens.weight" } : {};
    const head = { ...(this.#output && { lm_head: this.#output }) };
    this.head = { children: head };
    this.children = { model: this.backbone, ...head };
  }

  classify(pooled: Tensor): Tensor {
    return this.#output?.forward(pooled) ?? linearMap(pooled, this.backbone.words.weight, null);
  }
}

/**
 * OPT for sequence classification, regression and language modelling, with the keys of Hugging Face's
 * `OPTForSequenceClassification` and `OPTForCausalLM`.
 */
export const opt: Architecture = {
  modelType: "opt",
  basePrefix: "model.",
  classifierName: "OPTForSequenceClassification",
  poolings: ["last", "mean"],
  headKeys: [/^score\./, /^lm_head\./],
  outputKeys: /^score\./,
  headFallbacks: { "score": "mean_head.out_proj" },
  ignoredKeys: [/^qa_outputs\./, /^model\.decoder\.version$/],
  createClassifier(config: ConfigReader, head: HeadOptions, options: ParameterOptions): SequenceClassifier {
    const { pooling, numLabels } = head;
    const fields = readConfig(config);
    if (pooling === "last") return new OptClassifier(fields, numLabels, options);
    const { wordEmbedProjDim: size, dropout } = fields;
    return withMeanHead("model", optModel(fields, options), { size, numLabels, dropout }, options);
  },
  languageModel: {
    className: "OPTForCausalLM",
    create: (config, options) => new OptLanguageModel(readConfig(config), options),
  },
};
