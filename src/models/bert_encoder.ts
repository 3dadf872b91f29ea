// What BERT and RoBERTa share: how their configurations name an encoder's sizes, and their checkpoints its parts.

import { activation } from "../nn/activation.ts";
import type { ConfigReader } from "./config.ts";
import type { EncoderKeys, EncoderShape } from "./post_norm_encoder.ts";

/** An encoder's sizes by BERT's names, with positions from the first row of their table. */
export function readBertShape(config: ConfigReader, padTokenId: number): EncoderShape {
  config.only({ position_embedding_type: "absolute", is_decoder: false });
  const dropout = config.probability("hidden_dropout_prob", 0.1);
  return {
    vocabSize: config.count("vocab_size"),
    hiddenSize: config.count("hidden_size"),
    numHiddenLayers: config.count("num_hidden_layers"),
    numAttentionHeads: config.divisor("num_attention_heads", "hidden_size"),
    intermediateSize: config.count("intermediate_size"),
    maxPositions: config.count("max_position_embeddings"),
    positionOffset: 0,
    typeVocabSize: config.count("type_vocab_size"),
    padTokenId,
    layerNormEps: config.number("layer_norm_eps", 1e-12),
    dropout,
    attentionOutputDropout: dropout,
    attentionDropout: config.probability("attention_probs_dropout_prob", 0.1),
    activation: activation(config.text("hidden_act", "gelu")),
  };
}

/** The probability of the head's dropout: by default that of the layers. */
export function readClassifierDropout(config: ConfigReader): number {
  return config.probability("classifier_dropout", config.probability("hidden_dropout_prob", 0.1));
}

export const bertKeys: EncoderKeys = {
  encoder: "encoder",
  layer: ({ query, key, value, attentionOutput, attentionNorm, intermediate, output, outputNorm }) => ({
    attention: {
      children: {
        self: { children: { query, key, value } },
        output: { children: { dense: attentionOutput, LayerNorm: attentionNorm } },
      },
    },
    intermediate: { children: { dense: intermediate } },
    output: { children: { dense: output, LayerNorm: outputNorm } },
  }),
};
