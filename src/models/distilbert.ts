// DistilBERT (Sanh et al. 2019): BERT's layers without token types, and without dropout after attention's output map.

import { Dropout } from "../nn/dropout.ts";
import { Linear } from "../nn/linear.ts";
import type { ParameterOptions } from "../nn/module.ts";
import { relu, scope } from "../torch/mod.ts";
import type { ConfigReader } from "./config.ts";
import type { Architecture, Backbone, HeadOptions, SequenceClassifier } from "./contract.ts";
import { type HeadShape, withMeanHead } from "./mean_head.ts";
import { type EncoderKeys, type EncoderShape, postNormEncoder } from "./post_norm_encoder.ts";

function readShape(config: ConfigReader): EncoderShape {
  config.only({ sinusoidal_pos_embds: false });
  return {
    vocabSize: config.count("vocab_size"),
    hiddenSize: config.count("dim"),
    numHiddenLayers: config.layerCount("n_layers"),
    numAttentionHeads: config.divisor("n_heads", "dim"),
    intermediateSize: config.count("hidden_dim"),
    maxPositions: config.count("max_position_embeddings"),
    positionOffset: 0,
    typeVocabSize: 0,
    padTokenId: config.tokenId("pad_token_id", 0),
    layerNormEps: 1e-12,
    dropout: config.probability("dropout", 0.1),
    attentionOutputDropout: 0,
    attentionDropout: config.probability("attention_dropout", 0.1),
    activation: config.activation("activation", "gelu"),
  };
}

const keys: EncoderKeys = {
  encoder: "transformer",
  layer: ({ query, key, value, attentionOutput, attentionNorm, intermediate, output, outputNorm }) => ({
    attention: { children: { q_lin: query, k_lin: key, v_lin: value, out_lin: attentionOutput } },
    sa_layer_norm: attentionNorm,
    ffn: { children: { lin1: intermediate, lin2: output } },
    output_layer_norm: outputNorm,
  }),
};

function withStandardHead(backbone: Backbone, shape: HeadShape, options: ParameterOptions): SequenceClassifier {
  const { size, numLabels } = shape;
  const dense = new Linear(size, size, options);
  const classifier = new Linear(size, numLabels, options);
  const dropout = new Dropout(shape.dropout);
  const head = { pre_classifier: dense, classifier };
  return {
    ...{ backbone, numLabels, pooling: "cls", head: { children: head } },
    children: { distilbert: backbone, ...head },
    classify: (pooled, random) => scope(() => classifier.forward(dropout.apply(relu(dense.forward(pooled)), random))),
  };
}

/** DistilBERT for classification and regression, with the keys of `DistilBertForSequenceClassification`. */
export const distilbert: Architecture = {
  modelType: "distilbert",
  basePrefix: "distilbert.",
  classifierName: "DistilBertForSequenceClassification",
  headKeys: [/^pre_classifier\./, /^classifier\./],
  headFallbacks: { "classifier": "mean_head.out_proj" },
  ignoredKeys: [/^vocab_(transform|layer_norm|projector)\./, /^qa_outputs\./, /\.position_ids$/],
  createClassifier(
    config: ConfigReader,
    { pooling, numLabels }: HeadOptions,
    options: ParameterOptions,
  ): SequenceClassifier {
    const encoder = readShape(config);
    const head = { size: encoder.hiddenSize, numLabels, dropout: config.probability("seq_classif_dropout", 0.2) };
    const backbone = postNormEncoder(encoder, keys, options);
    return pooling === "cls"
      ? withStandardHead(backbone, head, options)
      : withMeanHead("distilbert", backbone, head, options);
  },
};
