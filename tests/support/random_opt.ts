// Random OPTs of any shape.

import { type Classifier, randomClassifier } from "../../mod.ts";
import { type RandomBertOptions, vocabSize } from "./random_bert.ts";

/** What a random model is made with; the rest is fixed. */
export interface RandomOptOptions extends Omit<RandomBertOptions, "intermediateSize" | "numHiddenLayers"> {
  /** Further fields of its configuration. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Three layers, hidden size 32, four heads; two labels, the head on the last position. */
export function randomOpt(options: RandomOptOptions = {}): Classifier {
  const { dropout = 0, hiddenSize = 32, fields = {}, target = { labels: ["no", "yes"] }, pooling = "last", ...others } =
    options;
  const config = {
    model_type: "opt",
    vocab_size: vocabSize,
    hidden_size: hiddenSize,
    num_hidden_layers: 3,
    num_attention_heads: 4,
    ffn_dim: 64,
    max_position_embeddings: 256,
    dropout,
    attention_dropout: dropout,
    init_std: 0.2,
    ...fields,
  };
  return randomClassifier(config, { target, pooling, ...others });
}

/** The fields that make the shape of OPT-350m: post-norm, word embeddings of another size than the hidden states. */
export const postNorm = { do_layer_norm_before: false, word_embed_proj_dim: 16 };
