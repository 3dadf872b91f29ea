// How far each policy's gradient is from that of all positions, on batches of e-mails with MiniLM, and what a step costs.

import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Classifier,
  type EncodedExample,
  encodeExamples,
  loadClassifier,
  loadTokenizer,
  namedParameters,
  type PositionPolicy,
  scope,
  threads,
} from "../mod.ts";
import { prepareSpamDemo } from "../src/experiments/spam_demo.ts";
import { positionPolicies } from "../src/selective/policies.ts";
import {
  add_,
  cat,
  item,
  linalgVectorNorm,
  matmul,
  sub,
  type Tensor,
  toDense,
  view,
  zerosLike,
} from "../src/torch/mod.ts";
import { planOf, Stepper } from "../src/train/step.ts";
import { markdownTable } from "./markdown.ts";
import { count } from "./options.ts";
import { describeOrigin, median, type Origin, writeResult } from "./results.ts";

/** What one policy's gradients are, against those of all positions. Means over the batches and the seeds. */
export interface PolicyResult {
  readonly policy: PositionPolicy;
  /** Of one gradient. */
  readonly cosine: number;
  /** The length of the difference of one gradient, to that of all positions' gradient. */
  readonly relativeError: number;
  /** The same of the mean over all seeds: what is left of it is bias, and chance that `seeds` draws do not even out. */
  readonly errorOfMean: number;
  /** Of the gradients of a step, to that with all positions; the median. */
  readonly relativeTime: number;
}

/** The policies on real batches. */
export interface PoliciesResult extends Origin {
  readonly settings: {
    readonly model: string;
    readonly task: string;
    readonly k: number;
    readonly batchSize: number;
    readonly batches: number;
    readonly seeds: number;
    readonly threads: number;
    readonly maxLength: number;
  };
  readonly policies: readonly PolicyResult[];
}

interface Measured {
  /** All parameters' in one vector. */
  readonly gradient: Tensor;
  readonly ms: number;
}

function measureGradient(
  classifier: Classifier,
  batch: readonly EncodedExample[],
  k: number | "all",
  positions: PositionPolicy,
  seed: number,
): Measured {
  const lengths = batch.map(({ inputIds }) => inputIds.length).toSorted((a, b) => b - a);
  using stepper = new Stepper(classifier, planOf(classifier, lengths, { k }), { k, positions, seed });
  const started = performance.now();
  stepper.accumulate(batch);
  const ms = performance.now() - started;
  return { gradient: takeGradients(classifier), ms };
}

function takeGradients({ model }: Classifier): Tensor {
  return scope(() => {
    const parts = [...namedParameters(model).values()].map((parameter) => {
      const gradient = parameter.grad ?? zerosLike(parameter);
      parameter.grad = null;
      return view(toDense(gradient), [-1]);
    });
    return cat(parts);
  });
}

function cosineOf(a: Tensor, b: Tensor): number {
  return scope(() => item(matmul(a, b)) / (item(linalgVectorNorm(a)) * item(linalgVectorNorm(b))));
}

function relativeDistance(a: Tensor, b: Tensor): number {
  return scope(() => item(linalgVectorNorm(sub(a, b))) / item(linalgVectorNorm(b)));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

interface Draws {
  readonly policy: PositionPolicy;
  readonly k: number;
  readonly seeds: number;
}

type Distances = Omit<PolicyResult, "policy">;

function measureBatch(
  classifier: Classifier,
  batch: readonly EncodedExample[],
  full: Measured,
  { policy, k, seeds }: Draws,
): Distances {
  return scope(() => {
    const sum = zerosLike(full.gradient);
    const draws = Array.from({ length: seeds }, (_, seed) =>
      scope(() => {
        const { gradient, ms } = measureGradient(classifier, batch, k, policy, seed);
        add_(sum, gradient, { alpha: 1 / seeds });
        const relativeError = relativeDistance(gradient, full.gradient);
        return { cosine: cosineOf(gradient, full.gradient), relativeError, relativeTime: ms / full.ms };
      }));
    return {
      cosine: mean(draws.map(({ cosine }) => cosine)),
      relativeError: mean(draws.map(({ relativeError }) => relativeError)),
      errorOfMean: relativeDistance(sum, full.gradient),
      relativeTime: median(draws.map(({ relativeTime }) => relativeTime)),
    };
  });
}

function measurePolicy(
  classifier: Classifier,
  batches: readonly (readonly EncodedExample[])[],
  full: readonly Measured[],
  draws: Draws,
): PolicyResult {
  const found = batches.flatMap((batch, at) => full[at] ? measureBatch(classifier, batch, full[at], draws) : []);
  return {
    policy: draws.policy,
    cosine: mean(found.map(({ cosine }) => cosine)),
    relativeError: mean(found.map(({ relativeError }) => relativeError)),
    errorOfMean: mean(found.map(({ errorOfMean }) => errorOfMean)),
    relativeTime: median(found.map(({ relativeTime }) => relativeTime)),
  };
}

/** The result as a Markdown table. */
export function policiesTable({ policies, settings: { seeds } }: PoliciesResult): string {
  return markdownTable(
    ["Positions", "Cosine", "Relative error", `of the mean of ${seeds}`, "Time of a gradient, relative"],
    policies.map(({ policy, cosine, relativeError, errorOfMean, relativeTime }) => [
      ...[`\`${policy}\``, ...[cosine, relativeError, errorOfMean, relativeTime].map((value) => value.toFixed(2))],
    ]),
  );
}

// Dropout would be a part of every distance.
async function loadWithoutDropout(folder: string): Promise<Classifier> {
  const place = Deno.makeTempDirSync({ prefix: "fewtune-bench-" });
  try {
    const fields = JSON.parse(Deno.readTextFileSync(join(folder, "config.json")));
    const without = { ...fields, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
    Deno.writeTextFileSync(join(place, "config.json"), JSON.stringify(without));
    for (const { name } of Deno.readDirSync(folder)) {
      if (name !== "config.json") Deno.symlinkSync(join(Deno.realPathSync(folder), name), join(place, name));
    }
    return await loadClassifier(place, { target: { labels: ["ham", "spam"] }, pooling: "mean" });
  } finally {
    Deno.removeSync(place, { recursive: true });
  }
}

/** Measures every policy on the first e-mails of the training part. */
export async function measurePolicies(
  settings: Omit<PoliciesResult["settings"], "model" | "task">,
): Promise<PoliciesResult> {
  const { k, batchSize, batches: batchCount, seeds } = settings;
  const { model, spam } = await prepareSpamDemo();
  threads(settings.threads);
  using classifier = await loadWithoutDropout(model);
  const mails = spam.train.slice(0, batchSize * batchCount);
  const examples = encodeExamples(mails, await loadTokenizer(model), settings.maxLength);
  const batches = Array.from({ length: batchCount }, (_, at) => examples.slice(at * batchSize, (at + 1) * batchSize));
  const policies = scope(() => {
    const full = batches.map((batch) => measureGradient(classifier, batch, "all", "random", 0));
    return positionPolicies.map((policy) => measurePolicy(classifier, batches, full, { policy, k, seeds }));
  });
  return {
    ...await describeOrigin(),
    settings: { model: "MiniLM-L6", task: "e-mails, ham or spam", ...settings },
    policies,
  };
}

if (import.meta.main) {
  const { json, ...values } = parseArgs({
    options: {
      k: { type: "string", default: "16" },
      "batch-size": { type: "string", default: "16" },
      batches: { type: "string", default: "3" },
      seeds: { type: "string", default: "16" },
      threads: { type: "string", default: "2" },
      json: { type: "string" },
    },
  }).values;
  const result = await measurePolicies({
    ...{ k: count("k", values.k), batchSize: count("batch-size", values["batch-size"]) },
    ...{ batches: count("batches", values.batches), seeds: count("seeds", values.seeds) },
    ...{ threads: count("threads", values.threads), maxLength: 128 },
  });
  console.log(policiesTable(result));
  if (json !== undefined) writeResult(json, result);
}
