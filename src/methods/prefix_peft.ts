// PEFT's format of prefixes: `PrefixTuningConfig`, and the keys and values of all layers in one tensor.

import type { WeightsFile } from "../files/weights_file.ts";
import type { Adaptation, Insertion } from "../models/adaptation.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import type { Tensor } from "../torch/mod.ts";
import type { PeftFields, PeftFormat } from "./peft.ts";
import { insertPrefixes } from "./prefix.ts";
import {
  countOf,
  promptEmbeddings,
  promptPrefix,
  requirePositions,
  requireShape,
  virtualTokens,
} from "./virtual_tokens_peft.ts";

/**
 * `prompt_embeddings` is `[P, 2 layers hiddenSize]`: of each layer the keys, then the values. Where a network computes
 * them PEFT saves its result alone. The network is saved beside it, which PEFT does not read, so that training goes on;
 * of an adapter without it the prefixes train themselves.
 */
export const prefixFormat: PeftFormat = {
  type: "PREFIX_TUNING",
  method: "prefix",
  keyPrefix: promptPrefix,
  joined: {
    name: promptEmbeddings,
    parts: ({ backbone }) =>
      backbone.layers.flatMap(({ prefix: { rows } }): Tensor[] => rows ? [rows.key, rows.value] : []),
  },
  // PEFT's prefixes are in all layers.
  canSay: ({ freezeLayers = 0 }) => freezeLayers === 0,
  fields({ backbone }: SequenceClassifier, options: Adaptation["options"]): Record<string, unknown> {
    const { prefixLength, prefixProjection, prefixHiddenSize = backbone.hiddenSize } = options;
    return {
      ...virtualTokens(backbone, Number(prefixLength), backbone.hiddenSize),
      prefix_projection: prefixProjection,
      encoder_hidden_size: prefixProjection === true ? prefixHiddenSize : null,
      init_weights: null,
    };
  },
  options(fields: PeftFields, file: WeightsFile): Adaptation["options"] {
    const length = { prefixLength: countOf(fields) };
    const isComputed = file.tensors.keys().some((name) => name.startsWith(promptPrefix + encoderKey));
    if (!isComputed) return { ...length, prefixProjection: false };
    return { ...length, prefixProjection: true, prefixHiddenSize: fields.count("encoder_hidden_size") };
  },
  isOwnKey: (key) => key.startsWith(encoderKey),
  insert({ backbone }: SequenceClassifier, options: Adaptation["options"], file: WeightsFile): readonly Insertion[] {
    const { layers, hiddenSize } = backbone;
    const length = Number(options["prefixLength"]);
    const encoderSize = options["prefixProjection"] === true ? Number(options["prefixHiddenSize"]) : null;
    requireShape(file, promptEmbeddings, [length, 2 * layers.length * hiddenSize]);
    if (encoderSize !== null) requireShape(file, encoderMap, [encoderSize, hiddenSize]);
    requirePositions(file, backbone, length);
    return insertPrefixes(backbone, layers, { length, encoderSize }).insertions;
  },
};

const encoderKey = "prefix_encoder.";
const encoderMap = `${promptPrefix}${encoderKey}transform.0.weight`;
