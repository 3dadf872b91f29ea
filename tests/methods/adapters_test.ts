// Adapters and Compacter against PyTorch: logits, loss, gradients, twenty steps; where they begin; what they train.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AdamW,
  applyMethod,
  type Classifier,
  describeMethods,
  type DType,
  Generator,
  loadClassifier,
  memory,
  mergeAdapter,
  type MethodOptions,
  namedParameters,
  noGrad,
  ops,
  parameterBytes,
  randomClassifier,
  saveAdapter,
  selectPositions,
  type Sequence,
  tensorFrom,
  toNumbers,
  train,
  type TrainOptions,
} from "../../mod.ts";
import { bertConfig, bertSizes } from "../../src/experiments/model_configs.ts";
import { truncatedNormal_ } from "../../src/nn/truncated_normal.ts";
import { type ActivationPlan, estimatePeak } from "../../src/selective/peak_estimate.ts";
import { lowestTrained, type PlannedStep } from "../../src/selective/step_shape.ts";
import { measureMemory } from "../../src/train/profile_memory.ts";
import { ProfiledStep } from "../../src/train/profiled_step.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { type ComputedFixture, numbersIn, type TrainingFixture } from "../support/fixture_files.ts";
import { distance, norm } from "../support/numbers.ts";
import { labelledSequences, randomBert, randomSequences } from "../support/random_bert.ts";
import { postNorm, randomOpt } from "../support/random_opt.ts";
import { compute, readFixture } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Fixture extends Omit<TrainingFixture, "sequences"> {
  /** By the checkpoint. */
  readonly sequences: Readonly<Record<string, readonly Sequence[]>>;
  readonly initial: {
    readonly seed: number;
    readonly deviation: number;
    readonly count: number;
    readonly values: readonly number[];
  };
  readonly cases: readonly Case[];
}

interface Case extends ComputedFixture {
  readonly name: string;
  readonly method: string;
  readonly options: MethodOptions;
  /** The folder of the checkpoint. */
  readonly base: string;
}

const fixture = readFixture<Fixture>("adapters/cases.json");
const { labels, learningRate, weightDecay } = fixture;
const fixtures = new URL("../fixtures/", import.meta.url).pathname;

/** The numbers of a case's file, by the keys of what trains. */
function numbersOf({ name }: Case, file: string): Map<string, number[]> {
  return numbersIn(`${fixtures}adapters/${name}/${file}.safetensors`);
}

/** The checkpoint of a case with its method, and what trains at the reference's values. */
async function loadCase(test: Case, dtype: DType): Promise<Classifier> {
  const classifier = await loadClassifier(fixtures + test.base, { dtype });
  applyMethod(classifier, test.method, test.options);
  const values = numbersOf(test, "weights");
  assert.deepEqual([...classifier.trained.keys()].sort(), [...values.keys()].sort());
  setNumbers(classifier, values);
  return classifier;
}

function setNumbers({ trained }: Classifier, values: ReadonlyMap<string, readonly number[]>): void {
  for (const [key, { shape, dtype }] of trained) {
    using source = tensorFrom(values.get(key) ?? [], { shape, dtype });
    const target = trained.get(key);
    if (target) noGrad(() => ops.copy_(target, source).dispose());
  }
}

function computeCase(classifier: Classifier, { base }: Case): ReturnType<typeof compute> {
  return compute(classifier, fixture.sequences[base] ?? [], labels, null);
}

function valuesOf({ trained }: Classifier): Map<string, number[]> {
  return new Map([...trained].map(([key, tensor]) => [key, toNumbers(tensor)]));
}

for (const test of fixture.cases) {
  for (const [dtype, tolerance] of [["float32", 1e-5], ["float64", 1e-7]] as const) {
    Deno.test(`${test.name}: PyTorch's logits, loss and gradients, in ${dtype}`, async () => {
      await assertNothingLeft(async () => {
        using classifier = await loadCase(test, dtype);
        const { logits, loss, gradients } = computeCase(classifier, test);
        assertClose(logits, test.logits64.flat(), tolerance * norm(test.logits64.flat()));
        assertClose([loss], [test.loss64], tolerance);
        const expected = numbersOf(test, "gradients");
        const all = (of: ReadonlyMap<string, readonly number[]>): number[] =>
          [...expected.keys()].flatMap((key) => of.get(key) ?? []);
        assert.ok(distance(all(gradients), all(expected)) <= tolerance * norm(all(expected)));
        for (const [key, reference] of dtype === "float64" ? expected : []) {
          const off = distance(gradients.get(key) ?? [], reference);
          assert.ok(norm(reference) > 0 && off <= tolerance * norm(reference), `${key}: ${off} of ${norm(reference)}`);
        }
      });
    });
  }

  Deno.test(`${test.name}: twenty steps are PyTorch's, the losses and the weights after them`, async () => {
    await assertNothingLeft(async () => {
      using classifier = await loadCase(test, "float64");
      using optimizer = new AdamW(classifier.trained.values(), { weightDecay });
      const before = [...valuesOf(classifier).values()].flat();
      const losses = test.losses64.map(() => {
        const { loss, gradients } = computeCase(classifier, test);
        for (const [key, parameter] of classifier.trained) {
          using gradient = tensorFrom(gradients.get(key) ?? [], { shape: parameter.shape, dtype: parameter.dtype });
          parameter.grad = gradient;
        }
        optimizer.step(learningRate);
        return loss;
      });
      assertClose(losses, test.losses64, 1e-10);
      const [after, expected] = [valuesOf(classifier), numbersOf(test, "after")];
      for (const [key, numbers] of after) assertClose(numbers, expected.get(key) ?? [], 1e-6);
      assert.ok(distance([...after.values()].flat(), before) > 0.1);
    });
  });

  Deno.test(`${test.name}: saved and loaded it computes the same, and it cannot be merged`, async () => {
    using temporary = temporaryFolder();
    const folder = join(temporary.path, "adapter");
    await assertNothingLeft(async () => {
      using classifier = await loadCase(test, "float32");
      const { logits } = computeCase(classifier, test);
      saveAdapter(classifier, folder);
      using again = await loadClassifier(folder);
      assert.deepEqual(computeCase(again, test).logits, logits);
      assert.throws(() => mergeAdapter(classifier), { name: "OptionError", message: /computes what no weights/ });
      assert.deepEqual(computeCase(classifier, test).logits, logits);
    });
  });
}

Deno.test("the truncated normal numbers that adapters begin as are PyTorch's, to the bit", () => {
  const { seed, deviation, count, values } = fixture.initial;
  using random = new Generator(seed);
  using tensor = ops.empty([count]);
  truncatedNormal_(tensor, deviation, random);
  assert.deepEqual(toNumbers(tensor), [...new Float32Array(values)]);
});

const lengths = [9, 3, 17, 1, 6, 12];

const models: readonly (readonly [string, (dtype: DType) => Classifier])[] = [
  ["BERT", (dtype) => randomBert({ dtype })],
  ["OPT", (dtype) => randomOpt({ dtype, pooling: "mean" })],
  ["OPT of post-norm layers", (dtype) => randomOpt({ dtype, pooling: "mean", fields: postNorm })],
];

const methods: readonly (readonly [string, MethodOptions])[] = [
  ["adapters", { adapterSize: 8 }],
  ["adapters", { adapterSize: 8, adapterPlacement: "pfeiffer", adapterActivation: "relu" }],
  ["compacter", { compacterSize: 8 }],
];

for (const [name, make] of models) {
  for (const [method, options] of methods) {
    const told = `${method} ${JSON.stringify(options)}, ${name}`;

    Deno.test(`begins as nearly nothing, and the seed decides how: ${told}`, () => {
      const begun = (seed: number): { readonly off: number; readonly values: number[] } => {
        using classifier = make("float64");
        const logits = (): readonly number[] =>
          compute(classifier, randomSequences(lengths), [0, 1, 0, 1, 0, 1], null).logits;
        const before = logits();
        applyMethod(classifier, method, { ...options, seed });
        const values = [...classifier.trained].filter(([key]) => /adapter|compacter/.test(key));
        return {
          off: distance(logits(), before) / norm(before),
          values: values.flatMap(([, each]) => toNumbers(each)),
        };
      };
      const [first, same, other] = [begun(1), begun(1), begun(2)];
      assert.ok(first.off > 0 && first.off < 0.02, `${first.off}`);
      assert.deepEqual(first.values, same.values);
      assert.notDeepEqual(first.values, other.values);
    });

    Deno.test(`selective has the gradients of masked mode: ${told}`, async () => {
      await assertNothingLeft(() => {
        using classifier = make("float64");
        applyMethod(classifier, method, options);
        grow(classifier);
        // Masked mode hangs its hooks on every layer's states, so gradients have to reach the embeddings.
        for (const tensor of namedParameters(classifier.model.backbone.embeddings).values()) {
          ops.requiresGrad_(tensor).dispose();
        }
        using random = new Generator(4);
        const [batch, selected] = [randomSequences(lengths), selectPositions(lengths, 4, random)];
        const targets = [0, 1, 0, 1, 0, 1];
        const split = compute(classifier, batch, targets, selected, { rowsPerBlock: 20 });
        const masked = compute(classifier, batch, targets, selected, { mode: "masked" });
        for (const key of classifier.trained.keys()) {
          const [gradient, reference] = [split.gradients.get(key) ?? [], masked.gradients.get(key) ?? []];
          assert.ok(norm(reference) > 1e-9, key);
          const off = distance(gradient, reference);
          assert.ok(off <= 1e-10 * norm(reference), `${key}: ${off} off of ${norm(reference)}`);
        }
      });
    });
  }
}

/** Gives what was put in values that are not nearly 0. */
function grow({ trained }: Classifier): void {
  using random = new Generator(9);
  for (const [key, tensor] of trained) {
    if (/adapter|compacter/.test(key)) noGrad(() => ops.normal_(tensor, 0, 0.3, { generator: random }).dispose());
  }
}

Deno.test("backward stops above the layers without adapters", () => {
  using classifier = randomBert();
  applyMethod(classifier, "adapters", { adapterSize: 8, adapterDrop: 2 });
  assert.equal(lowestTrained(classifier.model.backbone), 2);
});

Deno.test("bf16: adapters and Compacter train, and stay float32", async () => {
  for (const [method, options] of methods) {
    await assertNothingLeft(async () => {
      using classifier = randomBert({ dropout: 0.1 });
      applyMethod(classifier, method, options);
      const before = valuesOf(classifier);
      const settings: TrainOptions = { k: 4, batchSize: 6, maxSteps: 2, learningRate: 1e-2, precision: "bf16" };
      await train(classifier, { train: labelledSequences(lengths) }, settings);
      for (const [key, numbers] of valuesOf(classifier)) assert.notDeepEqual(numbers, before.get(key), key);
      for (const { dtype } of classifier.trained.values()) assert.equal(dtype, "float32");
    });
  }
});

Deno.test("Compacter's shared factors are clipped with an optimizer in backward too, as with one at the end", async () => {
  const trained = async (optimizerInBackward: boolean, maxGradNorm: number): Promise<Map<string, number[]>> => {
    using classifier = randomBert();
    applyMethod(classifier, "compacter", { compacterSize: 8 });
    grow(classifier);
    await train(classifier, { train: labelledSequences(lengths) }, {
      ...{ k: 4, batchSize: 6, maxSteps: 2, learningRate: 1e-2, epsilon: 1e-2 },
      ...{ optimizerInBackward, maxGradNorm, clipping: "layer" },
    });
    return valuesOf(classifier);
  };
  const expected = await trained(false, 1e-4);
  assert.deepEqual(await trained(true, 1e-4), expected);
  assert.notDeepEqual((await trained(true, 1e-5)).get("compacter.A"), expected.get("compacter.A"));
});

Deno.test("a run with Compacter that goes on from a checkpoint ends as one that was never stopped, to the bit", async () => {
  using temporary = temporaryFolder();
  const run = async (options: TrainOptions): Promise<Map<string, number[]>> => {
    using classifier = await loadClassifier(`${fixtures}small_bert`);
    applyMethod(classifier, "compacter", { compacterSize: 8 });
    const settings: TrainOptions = { k: 4, batchSize: 3, maxSteps: 4, learningRate: 1e-2, evalSteps: 2 };
    const data = labelledSequences(lengths);
    await train(classifier, { train: data, dev: data }, {
      ...settings,
      keepBest: true,
      bestMetric: "loss",
      ...options,
    });
    return valuesOf(classifier);
  };
  const expected = await run({ checkpoints: { folder: temporary.path, saveSteps: 2 } });
  await assertNothingLeft(async () => {
    assert.deepEqual(await run({ resumeFrom: join(temporary.path, "step-2") }), expected);
  });
});

Deno.test("a step's peak is at most the estimate, and at least 0.89 of it", async () => {
  const sizes = { hiddenSize: 128, intermediateSize: 512 };
  for (const [method, options] of [...methods, ["adapters", { adapterSize: 64 }]] as const) {
    await assertNothingLeft(() => {
      using classifier = randomBert(sizes);
      applyMethod(classifier, method, options);
      for (const [k, length] of [["all", 64], [8, 128]] as const) {
        for (const activations of ["store", "recompute"] as const) {
          const plan = { activations, keptStates: { from: 0, every: 1 } };
          const lengths = new Array<number>(16).fill(length);
          const step = { lengths, k, precision: "float32", optimizerInBackward: false } as const;
          const share = measuredPeak(classifier, step, plan) / estimatePeak(classifier.model, step, plan);
          assert.ok(share <= 1 && share >= 0.89, `${share} of the estimate: ${method} ${k} ${activations}`);
        }
      }
    });
  }
});

/** The most bytes that lived in the second of two steps; the first makes the optimizer's state. */
function measuredPeak(classifier: Classifier, step: PlannedStep, plan: ActivationPlan): number {
  const outside = memory().liveBytes - parameterBytes(classifier.model);
  using steps = new ProfiledStep(classifier, { ...step, ...plan, seed: 1 });
  steps.run(() => {});
  return Math.max(...measureMemory(steps, classifier, outside).pieces.map(({ peakBytes }) => peakBytes));
}

/** Elements of what a method trains of a BERT beside the head. */
function countOf(size: keyof typeof bertSizes, method: string, options: MethodOptions = {}): number {
  const config = bertConfig(bertSizes[size]);
  const { methods } = describeMethods((device) => randomClassifier(config, { target: "regression", device }), options);
  return methods.find(({ name }) => name === method)?.trainableParameters ?? NaN;
}

Deno.test("BERT-large: what adapters train is the paper's formula, and 2 and 0.1 % of its 330M with sizes 64 and 2", () => {
  // Houlsby et al. 2019, section 2.1: 2 m d + d + m an adapter, two a layer, and the norms; the shares: section 3.5.
  const formula = (size: number): number => 48 * (2 * size * 1024 + 1024 + size) + 24 * 4 * 1024;
  for (const [size, share] of [[64, "2.0"], [2, "0.1"]] as const) {
    const count = countOf("bert-large", "adapters", { adapterSize: size });
    assert.equal(count, formula(size));
    assert.equal((count / 330e4).toFixed(1), share);
  }
  assert.equal(countOf("bert-large", "adapters"), 6_441_984);
  const pfeiffer = countOf("bert-large", "adapters", { adapterPlacement: "pfeiffer" });
  assert.equal(pfeiffer, 24 * (2 * 64 * 1024 + 1024 + 64));
  const dropped = countOf("bert-large", "adapters", { adapterDrop: 11 });
  assert.equal(dropped, formula(64) * 13 / 24);
});

Deno.test("what Compacter trains is 0.073 % of T5-base, as the paper has it", () => {
  // A BERT-base's bottlenecks, 24 of them, are those of T5-base's encoder or decoder; T5's 62 norms have no bias.
  const norms = 24 * 2 * 768;
  const bottlenecks = countOf("bert-base", "compacter") - norms - 4 ** 3;
  const t5 = 2 * bottlenecks + 4 ** 3 + 62 * 768;
  assert.equal((100 * t5 / 222_882_048).toFixed(3), "0.073");
  assert.equal(countOf("bert-large", "compacter"), 48 * (24 + 1024 + 24 + 1024 + 24 + 1024) + 64 + 24 * 4 * 1024);
});
