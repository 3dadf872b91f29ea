// Clipping against torch.nn.utils.clip_grad_norm_, in training and by itself.

import assert from "node:assert/strict";
import {
  accumulateGradients,
  AdamW,
  type Classifier,
  clipGradNorm,
  type Clipping,
  loadClassifier,
  lossOf,
  namedParameters,
  ops,
  scope,
  type Sequence,
  tensorFrom,
  toNumbers,
  train,
  type TrainEvent,
  type TrainOptions,
} from "../../mod.ts";
import { norm } from "../support/numbers.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { compute, pack, readFixture, smallBertFolder } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Fixture {
  readonly sequences: readonly Sequence[];
  readonly labels: readonly number[];
  readonly runs: readonly {
    readonly maxNorm: number;
    readonly norm64: number;
    readonly norms64: Readonly<Record<string, number>>;
    readonly word64: readonly number[];
  }[];
}

const fixture = readFixture<Fixture>("clipping.json");

for (const { maxNorm, norm64, norms64, word64 } of fixture.runs) {
  Deno.test(`clipping to ${maxNorm} is PyTorch's, rows of the vocabulary included`, async () => {
    await assertNothingLeft(async () => {
      using classifier = await loadClassifier(smallBertFolder, { dtype: "float64" });
      scope(() => {
        const batch = pack(classifier, fixture.sequences, null);
        const loss = (logits: Parameters<typeof lossOf>[0]): ReturnType<typeof lossOf> =>
          lossOf(logits, fixture.labels, classifier.target);
        accumulateGradients(classifier.model, batch, loss, { random: null });
        const parameters = namedParameters(classifier.model);
        const words = parameters.get("bert.embeddings.word_embeddings.weight");
        assert.ok(words?.grad?.isSparse);
        assertClose([clipGradNorm(parameters.values(), maxNorm)], [norm64], 1e-13 * norm64);
        for (const [key, parameter] of parameters) {
          const gradient = parameter.grad;
          assert.ok(gradient);
          const numbers = toNumbers(gradient.isSparse ? ops.toDense(gradient) : gradient);
          assertClose([norm(numbers)], [norms64[key] ?? NaN], 1e-13 * norm64);
          const word = fixture.sequences[0]?.inputIds[0] ?? 0;
          if (parameter === words) assertClose(numbers.slice(32 * word, 32 * word + 32), word64, 1e-13 * norm64);
          parameter.grad = null;
        }
      });
    });
  });
}

Deno.test("without gradients there is nothing to clip", () => {
  using parameter = tensorFrom([1, 2], { requiresGrad: true });
  assert.equal(clipGradNorm([parameter], 1), 0);
  assert.equal(parameter.grad, null);
});

const examples = labelledSequences([9, 3, 17, 5]);

function weights({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

async function trained(options: TrainOptions): Promise<Map<string, number[]>> {
  using classifier = randomBert({ dtype: "float64" });
  await train(classifier, { train: examples }, { ...fixed, ...options });
  return weights(classifier);
}

const fixed = { k: "all", batchSize: 4, maxSteps: 1, learningRate: 1e-3, epsilon: 0.01, warmupRatio: 0 } as const;

/** One step on gradients that are clipped here, by the definition. */
function expectedStep(maxNorm: number, clipping: Clipping): Map<string, number[]> {
  using classifier = randomBert({ dtype: "float64" });
  const order = compute(classifier, examples, examples.map(({ label = 0 }) => label), null).gradients;
  const groupOf = (key: string): string => clipping === "global" ? "" : /layer\.\d|embeddings/.exec(key)?.[0] ?? "head";
  const lengths = new Map<string, number>();
  for (const [key, numbers] of order) {
    lengths.set(groupOf(key), Math.hypot(lengths.get(groupOf(key)) ?? 0, norm(numbers)));
  }
  using optimizer = new AdamW(namedParameters(classifier.model).values(), { epsilon: fixed.epsilon });
  for (const [key, parameter] of namedParameters(classifier.model)) {
    const factor = Math.min(1, maxNorm / ((lengths.get(groupOf(key)) ?? 0) + 1e-6));
    const numbers = (order.get(key) ?? []).map((value) => factor * value);
    using gradient = tensorFrom(numbers, { shape: parameter.shape, dtype: "float64" });
    parameter.grad = gradient;
  }
  optimizer.step(fixed.learningRate);
  return weights(classifier);
}

function assertAlike(actual: Map<string, number[]>, expected: Map<string, number[]>): void {
  for (const [key, numbers] of actual) assertClose(numbers, expected.get(key) ?? [], 1e-12);
}

for (const clipping of ["global", "layer"] as const) {
  Deno.test(`a step with ${clipping} clipping`, async () => {
    await assertNothingLeft(async () => {
      const expected = expectedStep(0.05, clipping);
      assertAlike(await trained({ maxGradNorm: 0.05, clipping }), expected);
      assert.throws(() => assertAlike(expected, expectedStep(1e4, clipping)));
      if (clipping === "global") assert.throws(() => assertAlike(expected, expectedStep(0.05, "layer")));
    });
  });
}

Deno.test("a step tells the norm of all gradients, however they are clipped; never all there, null", async () => {
  const normOf = async (options: TrainOptions): Promise<number | null | undefined> => {
    let found: number | null | undefined;
    using classifier = randomBert({ dtype: "float64" });
    const onEvent = (event: TrainEvent): void => void (event.type === "step" && (found = event.gradientNorm));
    await train(classifier, { train: examples }, { ...fixed, ...options, onEvent });
    return found;
  };
  using classifier = randomBert({ dtype: "float64" });
  const labels = examples.map(({ label = 0 }) => label);
  const expected = norm([...compute(classifier, examples, labels, null).gradients.values()].flat());
  for (const options of [{}, { maxGradNorm: 0.05 }, { maxGradNorm: 0.05, clipping: "layer" }] as const) {
    assertClose([await normOf(options) ?? NaN], [expected], 1e-12 * expected);
  }
  assert.equal(await normOf({ optimizerInBackward: true }), null);
  assert.equal(await normOf({ optimizerInBackward: true, maxGradNorm: 0.05, clipping: "layer" }), null);
});

Deno.test("clipping by layer is the same with the optimizer in backward, to the bit", async () => {
  const options = { maxGradNorm: 0.05, clipping: "layer", maxSteps: 3 } as const;
  assert.deepEqual(await trained({ ...options, optimizerInBackward: true }), await trained(options));
});

for (
  const [options, message] of [
    [{}, /^the norm of the gradients is Infinity at step 1: stopped before the weights changed/],
    [
      { maxGradNorm: undefined },
      /^the norm of the gradients is Infinity at step 1: stopped before the weights changed/,
    ],
    [{ clipping: "layer", optimizerInBackward: true }, /is Infinity at step 1: stopped while the weights changed/],
  ] as const
) {
  Deno.test(`gradients too long for float32 stop the run: ${JSON.stringify(options)}`, async () => {
    await assertNothingLeft(async () => {
      using classifier = randomBert({ target: "regression" });
      const far = examples.map((example) => ({ ...example, label: 9e18 }));
      await assert.rejects(train(classifier, { train: far }, { ...fixed, maxGradNorm: 1, ...options }), {
        name: "TrainingError",
        message,
      });
      for (const parameter of namedParameters(classifier.model).values()) assert.equal(parameter.grad, null);
    });
  });
}
