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
import { toDense, toTypedArray } from "../src/torch/mod.ts";
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
  readonly gradient: Float32Array;
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

function takeGradients({ model }: Classifier): Float32Array {
  const parts = [...namedParameters(model).values()].map((parameter) =>
    scope(() => {
      const gradient = parameter.grad;
      const numbers = gradient === null ? new Float32Array(parameter.size) : toTypedArray(toDense(gradient));
      parameter.grad = null;
      return numbers as Float32Array;
    })
  );
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}

function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += ((a[at] ?? 0) - (b[at] ?? 0)) ** 2;
  return Math.sqrt(sum / dot(b, b));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function measurePolicy(
  classifier: Classifier,
  batches: readonly (readonly EncodedExample[])[],
  full: readonly Measured[],
  { policy, k, seeds }: { readonly policy: PositionPolicy; readonly k: number; readonly seeds: number },
): PolicyResult {
  const found = batches.map((batch, index) => {
    const all = full[index]?.gradient ?? new Float32Array();
    const sum = new Float64Array(all.length);
    const draws = Array.from({ length: seeds }, (_, seed) => {
      const { gradient, ms } = measureGradient(classifier, batch, k, policy, seed);
      gradient.forEach((value, at) => sum[at] = (sum[at] ?? 0) + value / seeds);
      const cosine = dot(gradient, all) / Math.sqrt(dot(gradient, gradient) * dot(all, all));
      return { cosine, relativeError: relativeDistance(gradient, all), time: ms / (full[index]?.ms ?? NaN) };
    });
    return { draws, errorOfMean: relativeDistance(sum, all) };
  });
  const draws = found.flatMap(({ draws }) => draws);
  return {
    policy,
    cosine: mean(draws.map(({ cosine }) => cosine)),
    relativeError: mean(draws.map(({ relativeError }) => relativeError)),
    errorOfMean: mean(found.map(({ errorOfMean }) => errorOfMean)),
    relativeTime: median(draws.map(({ time }) => time)),
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

async function measure(settings: Omit<PoliciesResult["settings"], "model" | "task">): Promise<PoliciesResult> {
  const { k, batchSize, batches: batchCount, seeds } = settings;
  const { model, spam } = await prepareSpamDemo();
  threads(settings.threads);
  using classifier = await loadWithoutDropout(model);
  const mails = spam.train.slice(0, batchSize * batchCount);
  const examples = encodeExamples(mails, await loadTokenizer(model), settings.maxLength);
  const batches = Array.from({ length: batchCount }, (_, at) => examples.slice(at * batchSize, (at + 1) * batchSize));
  const full = batches.map((batch) => measureGradient(classifier, batch, "all", "random", 0));
  const policies = positionPolicies.map((policy) => {
    console.error(policy);
    return measurePolicy(classifier, batches, full, { policy, k, seeds });
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
  const result = await measure({
    ...{ k: count("k", values.k), batchSize: count("batch-size", values["batch-size"]) },
    ...{ batches: count("batches", values.batches), seeds: count("seeds", values.seeds) },
    ...{ threads: count("threads", values.threads), maxLength: 128 },
  });
  console.log(policiesTable(result));
  if (json !== undefined) writeResult(json, result);
}
