// The trainer's parts against PyTorch, transformers and scikit-learn: schedules, weights, losses, what decays, whole runs.

import assert from "node:assert/strict";
import {
  applyMethod,
  backward,
  type Classifier,
  isDecayed,
  learningRateAt,
  loadClassifier,
  lossOf,
  namedParameters,
  ops,
  type Schedule,
  scope,
  type Sequence,
  type StepEvent,
  tensorFrom,
  toNumbers,
  train,
  type TrainEvent,
  type TrainOptions,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { classWeightsById } from "../../src/train/class_weights.ts";
import { distance, norm } from "../support/numbers.ts";
import { runPython } from "../support/python.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Run {
  readonly name: string;
  readonly folder: string;
  readonly isFrozen: boolean;
  readonly schedule: Schedule;
  readonly warmupSteps: number;
  readonly maxGradNorm: number;
  readonly labelSmoothing: number;
  readonly classWeights: readonly number[] | null;
  readonly examples: readonly (Sequence & { readonly label?: number })[];
  readonly steps: readonly Pick<StepEvent, "loss" | "learningRate" | "gradientNorm">[];
}

interface Reference {
  readonly schedules: readonly {
    readonly schedule: Schedule;
    readonly warmupSteps: number;
    readonly totalSteps: number;
    readonly rates: readonly number[];
  }[];
  readonly classWeights: {
    readonly labels: readonly number[];
    readonly balanced: readonly number[];
    readonly given: Readonly<Record<string, number>>;
    readonly weights: readonly number[];
  };
  readonly losses: readonly {
    readonly labelSmoothing: number;
    readonly classWeights: readonly number[] | null;
    readonly logits: readonly (readonly number[])[];
    readonly loss: number;
    readonly gradient: readonly (readonly number[])[];
  }[];
  readonly decayed: readonly {
    readonly folder: string;
    readonly keys: readonly string[];
    readonly decayed: readonly string[];
  }[];
  readonly learningRate: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly runs: readonly Run[];
}

const folder = Deno.makeTempDirSync({ prefix: "fewtune-trainer-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
await runPython("trainer.py", [folder]);
const reference: Reference = JSON.parse(Deno.readTextFileSync(`${folder}/trainer.json`));

Deno.test("the schedules are transformers' at every step", () => {
  assert.equal(reference.schedules.length, 18);
  for (const { rates, ...options } of reference.schedules) {
    const actual = rates.map((_, step) => learningRateAt(step, { learningRate: 3e-5, ...options }));
    // Cosines of two libraries may differ in the last place.
    assertClose(actual, rates, options.schedule === "cosine" ? 2 ** -52 * 3e-5 : 0);
  }
});

Deno.test("class weights are scikit-learn's", () => {
  const { labels, balanced, given, weights } = reference.classWeights;
  const names = ["0", "1", "2"];
  assert.deepEqual(classWeightsById("balanced", names, labels), balanced);
  assert.deepEqual(classWeightsById(given, names, labels), weights);
  // scikit-learn does not know of labels that do not occur.
  assert.deepEqual(classWeightsById("balanced", [...names, "3"], labels), [...balanced, 1]);
});

Deno.test("the smoothed and weighted loss and its gradient are PyTorch's", async () => {
  await assertNothingLeft(() => {
    for (const { labelSmoothing, classWeights, logits, loss, gradient } of reference.losses) {
      scope(() => {
        const options = { labelSmoothing, ...(classWeights && { classWeights }) };
        const leaf = tensorFrom(logits.flat(), { shape: [logits.length, 3], dtype: "float64", requiresGrad: true });
        const value = lossOf(leaf, reference.classWeights.labels, { labels: ["0", "1", "2"] }, options);
        backward(value);
        assertClose(toNumbers(value), [loss], 0);
        assertClose(toNumbers(leaf.grad ?? ops.zerosLike(leaf)), gradient.flat(), 0);
      });
    }
  });
});

for (const { folder, keys, decayed } of reference.decayed) {
  Deno.test(`weight decay acts on the parameters that the Trainer decays: ${folder.split("/").at(-1)}`, async () => {
    using classifier = await loadClassifier(folder, { pooling: folder.includes("opt") ? "last" : "cls" });
    const parameters = namedParameters(classifier.model);
    assert.deepEqual([...parameters.keys()].sort(), keys.toSorted());
    const actual = [...parameters].filter(([, parameter]) => isDecayed(parameter)).map(([key]) => key);
    assert.deepEqual(actual.sort(), decayed.toSorted());
    assert.ok(decayed.length < keys.length);
  });
}

function read(path: string): Map<string, number[]> {
  using file = openSafetensors(path);
  return new Map([...file.tensors].map(([key, { byteLength }]) => {
    const numbers = new Float64Array(byteLength / 8);
    file.readInto(key, new Uint8Array(numbers.buffer));
    return [key, [...numbers]];
  }));
}

async function load({ folder, name }: Run): Promise<Classifier> {
  return name.includes("language")
    ? await loadClassifier(folder, { dtype: "float64", target: "nextToken", pooling: "each" })
    : await loadClassifier(folder, { dtype: "float64", pooling: "cls" });
}

for (const run of reference.runs) {
  const { name, isFrozen, schedule, warmupSteps, maxGradNorm, labelSmoothing, classWeights, examples, steps } = run;
  for (const gradientAccumulation of [1, 3]) {
    Deno.test(`a run as PyTorch's, ${gradientAccumulation} micro-batches: ${name}`, async () => {
      await assertNothingLeft(async () => {
        using classifier = await load(run);
        applyMethod(classifier, "full", { freezeEmbeddings: isFrozen });
        const before = new Map([...namedParameters(classifier.model)].map(([key, each]) => [key, toNumbers(each)]));
        const seen: StepEvent[] = [];
        const { learningRate, epsilon, weightDecay } = reference;
        const options: TrainOptions = {
          ...{ k: "all", batchSize: examples.length, epochs: steps.length, learningRate, epsilon, weightDecay },
          ...{ schedule, warmupSteps, maxGradNorm, labelSmoothing, gradientAccumulation },
          ...(classWeights && {
            classWeights: Object.fromEntries(classWeights.map((weight, id) => [`LABEL_${id}`, weight])),
          }),
          onEvent: (event: TrainEvent) => void (event.type === "step" && seen.push(event)),
        };
        await train(classifier, { train: examples }, options);
        for (const figure of ["loss", "learningRate", "gradientNorm"] as const) {
          const expected = steps.map((step) => step[figure] ?? NaN);
          assertClose(seen.map((step) => step[figure] ?? NaN), expected, 1e-11 * Math.max(...expected));
        }
        const trained = read(`${run.folder}/trained.safetensors`);
        for (const [key, parameter] of namedParameters(classifier.model)) {
          const [actual, expected] = [toNumbers(parameter), trained.get(key) ?? []];
          assert.ok(distance(actual, expected) <= 1e-11 * norm(expected), `${key}: ${distance(actual, expected)}`);
          const isLeft = distance(actual, before.get(key) ?? []) === 0;
          // A key's bias has no effect, and therefore no gradient but rounding.
          if (!/key\.bias|k_proj\.bias/.test(key)) assert.equal(isLeft, isFrozen && key.includes("embed"), key);
        }
      });
    });
  }
}
