// The sizes of the models that are measured; their weights are random.

/** What of a BERT's configuration decides its time and memory. */
export interface ModelSize {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
}

/** By name; `tiny` is for trying the benchmarks out. */
export const modelSizes = {
  "bert-base": { layers: 12, hidden: 768, heads: 12, intermediate: 3072 },
  minilm: { layers: 6, hidden: 384, heads: 12, intermediate: 1536 },
  tiny: { layers: 2, hidden: 64, heads: 2, intermediate: 128 },
} as const satisfies Readonly<Record<string, ModelSize>>;

/** The name of a size. */
export type ModelName = keyof typeof modelSizes;

/** The name as given on the command line. Throws when there is no such size. */
export function modelName(name: string): ModelName {
  const known = (Object.keys(modelSizes) as ModelName[]).find((each) => each === name);
  if (known === undefined) {
    throw new Error(`--model ${name}: it has to be one of ${Object.keys(modelSizes).join(", ")}`);
  }
  return known;
}

/** The size as a config.json with BERT's vocabulary and positions. */
export function configOf({ layers, hidden, heads, intermediate }: ModelSize): Readonly<Record<string, unknown>> {
  return {
    model_type: "bert",
    vocab_size: 30522,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: intermediate,
    max_position_embeddings: 512,
    type_vocab_size: 2,
  };
}
