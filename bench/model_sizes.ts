// The sizes of the models that are measured; their weights are random.

import { bertConfig, type BertSize, bertSizes } from "../src/experiments/model_configs.ts";

export { bertConfig as configOf, type BertSize as ModelSize };

/** By name; `tiny` is for trying the benchmarks out. */
export const modelSizes = {
  "bert-base": bertSizes["bert-base"],
  minilm: bertSizes.minilm,
  tiny: { layers: 2, hidden: 64, heads: 2, intermediate: 128 },
} as const satisfies Readonly<Record<string, BertSize>>;

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
