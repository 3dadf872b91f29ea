// Random BERTs of any size, and random sequences for them.

import {
  type Classifier,
  type Pooling,
  randomClassifier,
  type Sequence,
  type Target,
  type TrainingExample,
} from "../../mod.ts";
import type { DType } from "../../src/torch/dtype.ts";
import { SeededRandom } from "../../src/data/prng.ts";

/** What a random model is made with; the rest is fixed. */
export interface RandomBertOptions {
  readonly target?: Target;
  readonly pooling?: Pooling;
  readonly dtype?: DType;
  readonly dropout?: number;
  /** Default 32. */
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
  /** Default 3. */
  readonly numHiddenLayers?: number;
  readonly seed?: number;
}

/** The number of words that a random model knows. */
export const vocabSize = 50;

/** Two labels, by default three layers, hidden size 32, four heads; weights large enough that nothing is nearly linear. */
export function randomBert(options: RandomBertOptions = {}): Classifier {
  const { dropout = 0, hiddenSize = 32, intermediateSize = 64, numHiddenLayers = 3, ...others } = options;
  const config = {
    model_type: "bert",
    vocab_size: vocabSize,
    hidden_size: hiddenSize,
    num_hidden_layers: numHiddenLayers,
    num_attention_heads: 4,
    intermediate_size: intermediateSize,
    max_position_embeddings: 256,
    type_vocab_size: 2,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    initializer_range: 0.2,
  };
  return randomClassifier(config, { target: { labels: ["no", "yes"] }, ...others });
}

/** Sequences of the given lengths, of token types 0 and then 1. */
export function randomSequences(lengths: readonly number[], seed = 1): Sequence[] {
  const random = new SeededRandom(seed);
  return lengths.map((length) => ({
    inputIds: Array.from({ length }, () => 1 + random.below(vocabSize - 1)),
    tokenTypeIds: Array.from({ length }, (_, position) => position * 2 < length ? 0 : 1),
  }));
}

/** The same as examples of two labels in turn. */
export function labelledSequences(lengths: readonly number[]): TrainingExample[] {
  return randomSequences(lengths).map((sequence, index) => ({ ...sequence, label: index % 2 }));
}
