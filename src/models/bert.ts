// BERT (Devlin et al. 2019): post-norm layers, GELU, learned positions and token types, a pooler on the first position.

import { Dropout } from "../nn/dropout.ts";
import { Linear } from "../nn/linear.ts";
import type { ParameterOptions } from "../nn/module.ts";
import { scope, tanh } from "../torch/mod.ts";
import { bertKeys, readBertShape, readClassifierDropout } from "./bert_encoder.ts";
import type { ConfigReader } from "./config.ts";
import type { Architecture, Backbone, HeadOptions, SequenceClassifier } from "./contract.ts";
import { type HeadShape, withMeanHead } from "./mean_head.ts";
import { postNormEncoder } from "./post_norm_encoder.ts";

// The standard head. A checkpoint keeps its pooler with the backbone.
function withStandardHead(backbone: Backbone, shape: HeadShape, options: ParameterOptions): SequenceClassifier {
  const { size, numLabels } = shape;
  const dense = new Linear(size, size, options);
  const classifier = new Linear(size, numLabels, options);
  const dropout = new Dropout(shape.dropout);
  const pooler = { children: { dense } };
  return {
    ...{ backbone, numLabels, pooling: "cls", head: { children: { pooler, classifier } } },
    children: { bert: { children: { ...backbone.children, pooler } }, classifier },
    classify: (pooled, random) => scope(() => classifier.forward(dropout.apply(tanh(dense.forward(pooled)), random))),
  };
}

/** BERT for sequence classification and regression, with the keys of Hugging Face's `BertForSequenceClassification`. */
export const bert: Architecture = {
  modelType: "bert",
  basePrefix: "bert.",
  classifierName: "BertForSequenceClassification",
  headKeys: [/^bert\.pooler\./, /^classifier\./],
  headFallbacks: { "bert.pooler.dense": "mean_head.dense", "classifier": "mean_head.out_proj" },
  ignoredKeys: [/^cls\./, /^qa_outputs\./, /\.position_ids$/],
  createClassifier(
    config: ConfigReader,
    { pooling, numLabels }: HeadOptions,
    options: ParameterOptions,
  ): SequenceClassifier {
    const encoder = readBertShape(config, config.tokenId("pad_token_id", 0));
    const head = { size: encoder.hiddenSize, numLabels, dropout: readClassifierDropout(config) };
    const backbone = postNormEncoder(encoder, bertKeys, options);
    return pooling === "cls"
      ? withStandardHead(backbone, head, options)
      : withMeanHead("bert", backbone, head, options);
  },
};
