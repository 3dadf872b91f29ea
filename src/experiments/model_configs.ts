// The published sizes of models, as config.json describes them: measured with random weights.

/** The content of a config.json. */
export type ModelConfig = Readonly<Record<string, unknown>>;

/** What of a BERT's configuration decides its time and memory. */
export interface BertSize {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
}

/** The sizes of BERTs by name. */
export const bertSizes = {
  "bert-base": { layers: 12, hidden: 768, heads: 12, intermediate: 3072 },
  "bert-large": { layers: 24, hidden: 1024, heads: 16, intermediate: 4096 },
  minilm: { layers: 6, hidden: 384, heads: 12, intermediate: 1536 },
} as const satisfies Readonly<Record<string, BertSize>>;

/** A BERT of some size, with the vocabulary and positions of `bert-base-uncased`. */
export function bertConfig({ layers, hidden, heads, intermediate }: BertSize): ModelConfig {
  return {
    model_type: "bert",
    vocab_size: 30522,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: intermediate,
    max_position_embeddings: 512,
    type_vocab_size: 2,
    pad_token_id: 0,
    hidden_act: "gelu",
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
    layer_norm_eps: 1e-12,
    initializer_range: 0.02,
  };
}

// Of facebook/opt-1.3b (Zhang et al. 2022, table 1).
const opt13b: ModelConfig = {
  model_type: "opt",
  vocab_size: 50272,
  hidden_size: 2048,
  word_embed_proj_dim: 2048,
  num_hidden_layers: 24,
  num_attention_heads: 32,
  ffn_dim: 8192,
  max_position_embeddings: 2048,
  do_layer_norm_before: true,
  activation_function: "relu",
  dropout: 0.1,
  attention_dropout: 0,
  init_std: 0.02,
  pad_token_id: 1,
  bos_token_id: 2,
  eos_token_id: 2,
};

/** The configurations by name. */
export const modelConfigs: Readonly<Record<string, ModelConfig>> = {
  "bert-base": bertConfig(bertSizes["bert-base"]),
  "bert-large": bertConfig(bertSizes["bert-large"]),
  minilm: bertConfig(bertSizes.minilm),
  "opt-1.3b": opt13b,
};
