// BERT (Devlin et al. 2019): post-norm layers, GELU, learned positions and token types.

import type { Activation } from "../nn/activation.ts";
import { Dropout } from "../nn/dropout.ts";
import { Embedding } from "../nn/embedding.ts";
import { LayerNorm } from "../nn/layer_norm.ts";
import { Linear } from "../nn/linear.ts";
import type { Module, ParameterOptions } from "../nn/module.ts";
import { add_, type Device, type DType, type Generator, scope, tanh, type Tensor } from "../torch/mod.ts";
import { CheckpointError } from "../errors.ts";
import type { ConfigReader } from "./config.ts";
import type {
  Architecture,
  Backbone,
  HeadOptions,
  RowInputs,
  SequenceClassifier,
  TransformerLayer,
} from "./contract.ts";
import { show } from "./shown.ts";
import { withMeanHead } from "./mean_head.ts";

interface BertConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly intermediateSize: number;
  readonly maxPositionEmbeddings: number;
  readonly typeVocabSize: number;
  readonly padTokenId: number;
  readonly layerNormEps: number;
  readonly hiddenDropoutProb: number;
  readonly attentionProbsDropoutProb: number;
  readonly classifierDropout: number;
  readonly hiddenAct: Activation;
}

function readConfig(config: ConfigReader): BertConfig {
  const positions = config.text("position_embedding_type", "absolute");
  if (positions !== "absolute") {
    throw new CheckpointError(
      `${config.path}: position_embedding_type ${show(positions)} is not supported, only "absolute" is`,
    );
  }
  const [hiddenSize, numAttentionHeads] = [config.count("hidden_size"), config.count("num_attention_heads")];
  if (hiddenSize % numAttentionHeads !== 0) {
    throw new CheckpointError(
      `${config.path}: hidden_size ${hiddenSize} is no multiple of num_attention_heads ${numAttentionHeads}`,
    );
  }
  const hiddenDropoutProb = config.probability("hidden_dropout_prob", 0.1);
  return {
    vocabSize: config.count("vocab_size"),
    hiddenSize,
    numHiddenLayers: config.layerCount("num_hidden_layers"),
    numAttentionHeads,
    intermediateSize: config.count("intermediate_size"),
    maxPositionEmbeddings: config.count("max_position_embeddings"),
    typeVocabSize: config.count("type_vocab_size"),
    padTokenId: config.number("pad_token_id", 0),
    layerNormEps: config.number("layer_norm_eps", 1e-12),
    hiddenDropoutProb,
    attentionProbsDropoutProb: config.probability("attention_probs_dropout_prob", 0.1),
    classifierDropout: config.probability("classifier_dropout", hiddenDropoutProb),
    hiddenAct: config.activation("hidden_act", "gelu"),
  };
}

class BertEmbeddings implements Module {
  readonly children: Readonly<Record<string, Module>>;
  readonly #words: Embedding;
  readonly #positions: Embedding;
  readonly #tokenTypes: Embedding;
  readonly #norm: LayerNorm;
  readonly #dropout: Dropout;

  constructor(config: BertConfig, options: ParameterOptions) {
    const { hiddenSize } = config;
    this.#words = new Embedding(config.vocabSize, hiddenSize, {
      ...options,
      paddingIndex: config.padTokenId,
      hasSparseGradient: true,
    });
    this.#positions = new Embedding(config.maxPositionEmbeddings, hiddenSize, options);
    this.#tokenTypes = new Embedding(config.typeVocabSize, hiddenSize, options);
    this.#norm = new LayerNorm(hiddenSize, config.layerNormEps, options);
    this.#dropout = new Dropout(config.hiddenDropoutProb);
    this.children = {
      word_embeddings: this.#words,
      position_embeddings: this.#positions,
      token_type_embeddings: this.#tokenTypes,
      LayerNorm: this.#norm,
    };
  }

  forward(rows: RowInputs, random: Generator | null): Tensor {
    return scope(() => {
      const sum = this.#words.forward(rows.inputIds);
      add_(sum, this.#tokenTypes.forward(rows.tokenTypeIds));
      add_(sum, this.#positions.forward(rows.positionIds));
      return this.#dropout.applyInPlace(this.#norm.forward(sum), random);
    });
  }
}

// Dropout, the residual added, LayerNorm: how both halves of a layer end, after a dense map.
class ResidualOutput implements Module {
  readonly children: Readonly<Record<string, Module>>;
  readonly #dense: Linear;
  readonly #norm: LayerNorm;
  readonly #dropout: Dropout;

  constructor(inFeatures: number, config: BertConfig, options: ParameterOptions) {
    this.#dense = new Linear(inFeatures, config.hiddenSize, options);
    this.#norm = new LayerNorm(config.hiddenSize, config.layerNormEps, options);
    this.#dropout = new Dropout(config.hiddenDropoutProb);
    this.children = { dense: this.#dense, LayerNorm: this.#norm };
  }

  /** Of `input`, or of `activation(input)`, and the residual. */
  forward(input: Tensor, residual: Tensor, random: Generator | null, activation: Activation | null = null): Tensor {
    return scope(() => {
      const dense = activation ? this.#dense.forwardActivated(input, activation) : this.#dense.forward(input);
      return this.#norm.forward(add_(this.#dropout.applyInPlace(dense, random), residual));
    });
  }
}

class BertLayer implements TransformerLayer {
  readonly children: Readonly<Record<string, Module>>;
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly #attentionOutput: ResidualOutput;
  readonly #intermediate: Linear;
  readonly #output: ResidualOutput;
  readonly #activation: Activation;

  constructor(config: BertConfig, options: ParameterOptions) {
    const { hiddenSize, intermediateSize } = config;
    this.query = new Linear(hiddenSize, hiddenSize, options);
    this.key = new Linear(hiddenSize, hiddenSize, options);
    this.value = new Linear(hiddenSize, hiddenSize, options);
    this.#attentionOutput = new ResidualOutput(hiddenSize, config, options);
    this.#intermediate = new Linear(hiddenSize, intermediateSize, options);
    this.#output = new ResidualOutput(intermediateSize, config, options);
    this.#activation = config.hiddenAct;
    const self = { children: { query: this.query, key: this.key, value: this.value } };
    this.children = {
      attention: { children: { self, output: this.#attentionOutput } },
      intermediate: { children: { dense: this.#intermediate } },
      output: this.#output,
    };
  }

  attentionInput(hidden: Tensor): Tensor {
    return hidden;
  }

  afterAttention(hidden: Tensor, context: Tensor, random: Generator | null): Tensor {
    return scope(() => {
      const attended = this.#attentionOutput.forward(context, hidden, random);
      return this.#output.forward(this.#intermediate.forward(attended), attended, random, this.#activation);
    });
  }
}

class BertModel implements Backbone {
  readonly children: Readonly<Record<string, Module>>;
  readonly hiddenSize: number;
  readonly numAttentionHeads: number;
  readonly intermediateSize: number;
  readonly maxPositions: number;
  readonly vocabSize: number;
  readonly device: Device;
  readonly dtype: DType;
  readonly attentionDropout: Dropout;
  readonly isCausal = false;
  readonly finalNorm = null;
  readonly layers: readonly BertLayer[];
  readonly embeddings: BertEmbeddings;

  constructor(config: BertConfig, pooler: Module | null, options: ParameterOptions) {
    this.hiddenSize = config.hiddenSize;
    this.numAttentionHeads = config.numAttentionHeads;
    this.intermediateSize = config.intermediateSize;
    this.maxPositions = config.maxPositionEmbeddings;
    this.vocabSize = config.vocabSize;
    this.device = options.device ?? "cpu";
    this.dtype = options.dtype ?? "float32";
    this.attentionDropout = new Dropout(config.attentionProbsDropoutProb);
    this.embeddings = new BertEmbeddings(config, options);
    this.layers = Array.from({ length: config.numHiddenLayers }, () => new BertLayer(config, options));
    this.children = {
      embeddings: this.embeddings,
      encoder: { children: { layer: { children: Object.fromEntries(this.layers.entries()) } } },
      ...(pooler && { pooler }),
    };
  }

  embed(rows: RowInputs, random: Generator | null): Tensor {
    return this.embeddings.forward(rows, random);
  }
}

// The standard head: the first position through the pooler, which the checkpoint keeps with the backbone.
class BertClassifier implements SequenceClassifier {
  readonly children: Readonly<Record<string, Module>>;
  readonly backbone: BertModel;
  readonly head: Module;
  readonly pooling = "cls";
  readonly #pooler: Linear;
  readonly #classifier: Linear;
  readonly #dropout: Dropout;

  constructor(config: BertConfig, readonly numLabels: number, options: ParameterOptions) {
    this.#pooler = new Linear(config.hiddenSize, config.hiddenSize, options);
    this.#classifier = new Linear(config.hiddenSize, numLabels, options);
    this.#dropout = new Dropout(config.classifierDropout);
    const pooler = { children: { dense: this.#pooler } };
    this.head = { children: { pooler, classifier: this.#classifier } };
    this.backbone = new BertModel(config, pooler, options);
    this.children = { bert: this.backbone, classifier: this.#classifier };
  }

  classify(pooled: Tensor, random: Generator | null): Tensor {
    return scope(() => this.#classifier.forward(this.#dropout.apply(tanh(this.#pooler.forward(pooled)), random)));
  }
}

/** BERT for sequence classification and regression, with the keys of Hugging Face's `BertForSequenceClassification`. */
export const bert: Architecture = {
  modelType: "bert",
  basePrefix: "bert.",
  classifierName: "BertForSequenceClassification",
  headKeys: [/^bert\.pooler\./, /^classifier\./],
  headFallbacks: { "bert.pooler.dense": "mean_head.dense", "classifier": "mean_head.out_proj" },
  ignoredKeys: [/^cls\./, /\.position_ids$/],
  createClassifier(config: ConfigReader, head: HeadOptions, options: ParameterOptions): SequenceClassifier {
    const { pooling, numLabels } = head;
    const fields = readConfig(config);
    if (pooling === "cls") return new BertClassifier(fields, numLabels, options);
    const { hiddenSize: size, classifierDropout: dropout } = fields;
    return withMeanHead("bert", new BertModel(fields, null, options), { size, numLabels, dropout }, options);
  },
};
