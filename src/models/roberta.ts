// RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2020): BERT's layers, positions that begin after the padding's,
// and a head of its own in the pooler's place.

import { CheckpointError } from "../errors.ts";
import { Dropout } from "../nn/dropout.ts";
import { Linear } from "../nn/linear.ts";
import type { ParameterOptions } from "../nn/module.ts";
import { scope, tanh } from "../torch/mod.ts";
import { bertKeys, readBertShape, readClassifierDropout } from "./bert_encoder.ts";
import type { ConfigReader } from "./config.ts";
import type { Architecture, Backbone, HeadOptions, SequenceClassifier } from "./contract.ts";
import { type HeadShape, withMeanHead } from "./mean_head.ts";
import { type EncoderShape, postNormEncoder } from "./post_norm_encoder.ts";

// The table of positions has rows up to the padding's that no position is given.
function readShape(config: ConfigReader): EncoderShape {
  const padTokenId = config.tokenId("pad_token_id", 1);
  const { maxPositions: rows, ...shape } = readBertShape(config, padTokenId);
  const positionOffset = padTokenId + 1;
  if (rows > positionOffset) return { ...shape, positionOffset, maxPositions: rows - positionOffset };
  throw new CheckpointError(
    `${config.path}: max_position_embeddings is ${rows}, it has to be above pad_token_id + 1, which is ${positionOffset}`,
  );
}

function withStandardHead(backbone: Backbone, shape: HeadShape, options: ParameterOptions): SequenceClassifier {
  const { size, numLabels } = shape;
  const dense = new Linear(size, size, options);
  const output = new Linear(size, numLabels, options);
  const dropout = new Dropout(shape.dropout);
  const classifier = { children: { dense, out_proj: output } };
  return {
    ...{ backbone, numLabels, pooling: "cls", head: { children: { classifier } } },
    children: { roberta: backbone, classifier },
    classify: (pooled, random) =>
      scope(() => {
        const hidden = tanh(dense.forward(dropout.apply(pooled, random)));
        return output.forward(dropout.apply(hidden, random));
      }),
  };
}

/** RoBERTa for sequence classification and regression, with the keys of `RobertaForSequenceClassification`. */
export const roberta: Architecture = {
  modelType: "roberta",
  basePrefix: "roberta.",
  classifierName: "RobertaForSequenceClassification",
  headKeys: [/^classifier\./],
  outputKeys: /^classifier\.out_proj\./,
  headFallbacks: { "classifier.dense": "mean_head.dense", "classifier.out_proj": "mean_head.out_proj" },
  ignoredKeys: [/^lm_head\./, /^qa_outputs\./, /^roberta\.pooler\./, /\.position_ids$/],
  createClassifier(
    config: ConfigReader,
    { pooling, numLabels }: HeadOptions,
    options: ParameterOptions,
  ): SequenceClassifier {
    const encoder = readShape(config);
    const head = { size: encoder.hiddenSize, numLabels, dropout: readClassifierDropout(config) };
    const backbone = postNormEncoder(encoder, bertKeys, options);
    return pooling === "cls"
      ? withStandardHead(backbone, head, options)
      : withMeanHead("roberta", backbone, head, options);
  },
};

/** XLM-R: RoBERTa with another vocabulary, under names of its own. */
export const xlmRoberta: Architecture = {
  ...roberta,
  modelType: "xlm-roberta",
  classifierName: "XLMRobertaForSequenceClassification",
};
