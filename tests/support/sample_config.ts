// Every option of a training run with a value, and the flags that give it this value.

import type { TrainConfig } from "../../mod.ts";

/** For each option its flags and the value that they give. */
export const samples: {
  readonly [Name in keyof TrainConfig]-?: readonly [
    flags: readonly string[],
    value: Exclude<TrainConfig[Name], undefined>,
  ];
} = {
  model: [["--model", "org/small"], "org/small"],
  revision: [["--revision", "v2"], "v2"],
  pooling: [["--pooling", "cls"], "cls"],
  train: [["--train", "/data/train.tsv"], "/data/train.tsv"],
  dev: [["--dev", "/data/dev.tsv"], "/data/dev.tsv"],
  test: [["--test", "/data/5"], "/data/5"],
  dataset: [["--dataset", "org/reviews:de"], "org/reviews:de"],
  datasetRevision: [["--dataset-revision", "1.0"], "1.0"],
  trainSplit: [["--train-split", "train"], "train"],
  devSplit: [["--dev-split", "dev"], "dev"],
  testSplit: [["--test-split", "7"], "7"],
  glue: [["--glue", "MRPC"], "MRPC"],
  glueDir: [["--glue-dir", "/data/glue"], "/data/glue"],
  columns: [
    ["--text", "body", "--text-pair", "more, or less", "--label", "stars"],
    { text: "body", textPair: "more, or less", label: "stars" },
  ],
  task: [["--task", "language-model"], "language-model"],
  maxLength: [["--max-length", "128"], 128],
  tokenCache: [["--no-token-cache"], false],
  method: [["--method", "selective+lora"], "selective+lora"],
  k: [["--k", "0.25"], 0.25],
  loraRank: [["--lora-rank", "4"], 4],
  loraAlpha: [["--lora-alpha", "0.5"], 0.5],
  loraTargets: [["--lora-targets", "query, output.dense"], ["query", "output.dense"]],
  freezeLayers: [["--freeze-layers", "0"], 0],
  freezeEmbeddings: [["--freeze-embeddings"], true],
  batchSize: [["--batch-size", "8"], 8],
  gradientAccumulation: [["--gradient-accumulation", "2"], 2],
  groupByLength: [["--group-by-length"], true],
  activations: [["--activations", "recompute"], "recompute"],
  memoryBudget: [["--memory-budget", "1.5GiB"], 1.5 * 2 ** 30],
  precision: [["--precision", "bf16"], "bf16"],
  optimizerInBackward: [["--optimizer-in-backward"], true],
  learningRate: [["--learning-rate", "3e-5"], 3e-5],
  schedule: [["--schedule", "cosine"], "cosine"],
  warmupRatio: [["--warmup-ratio", "1"], 1],
  warmupSteps: [["--warmup-steps", "0"], 0],
  epochs: [["--epochs", "2"], 2],
  maxSteps: [["--max-steps", "1000"], 1000],
  maxGradNorm: [["--max-grad-norm", ".5"], 0.5],
  clipping: [["--clipping", "layer"], "layer"],
  betas: [["--betas", "0.8,0.99"], [0.8, 0.99]],
  epsilon: [["--epsilon", "1e-6"], 1e-6],
  weightDecay: [["--weight-decay", "0"], 0],
  labelSmoothing: [["--label-smoothing", "0.1"], 0.1],
  classWeights: [["--class-weights", "spam=2,not spam=0.5"], { spam: 2, "not spam": 0.5 }],
  divergenceFactor: [["--divergence-factor", "1.5"], 1.5],
  evalSteps: [["--eval-steps", "50"], 50],
  bestMetric: [["--best-metric", "accuracy"], "accuracy"],
  keepBest: [["--keep-best"], true],
  patience: [["--patience", "3"], 3],
  outputDir: [["--output-dir", "/out/new"], "/out/new"],
  saveSteps: [["--save-steps", "100"], 100],
  saveMinutes: [["--save-minutes", "2.5"], 2.5],
  keepCheckpoints: [["--keep-checkpoints", "1"], 1],
  logSteps: [["--log-steps", "10"], 10],
  tensorboard: [["--no-tensorboard"], false],
  seed: [["--seed", "4294967296"], 4294967296],
  device: [["--device", "cuda:1"], "cuda:1"],
  threads: [["--threads", "2"], 2],
};

/** All options with these values. */
export const everyOption: TrainConfig = Object.fromEntries(
  Object.entries(samples).map(([name, [, value]]) => [name, value]),
);
