// Networks beside the backbone: against plain PyTorch, against one graph and masked mode, as files, and what they keep.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  accumulateGradients,
  AdamW,
  applyMethod,
  backward,
  type Classifier,
  type DType,
  estimatePeak,
  forward,
  Generator,
  loadClassifier,
  lossOf,
  memory,
  mergeAdapter,
  type MethodOptions,
  namedParameters,
  noGrad,
  ops,
  parameterBytes,
  planActivations,
  type Pooling,
  profileStep,
  saveAdapter,
  scope,
  type SelectionSize,
  selectPositions,
  type Tensor,
  tensorFrom,
  toNumbers,
  train,
} from "../../mod.ts";
import { measureMemory } from "../../src/train/profile_memory.ts";
import { ProfiledStep } from "../../src/train/profiled_step.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { type ComputedFixture, numbersIn, type TrainingFixture } from "../support/fixture_files.ts";
import { distance, norm } from "../support/numbers.ts";
import { labelledSequences, randomBert, randomSequences } from "../support/random_bert.ts";
import { postNorm, randomOpt } from "../support/random_opt.ts";
import { compute, pack, readFixture, smallBertFolder, takeGradients } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Case extends ComputedFixture {
  readonly name: string;
  readonly method: string;
  readonly options: MethodOptions;
}

interface Fixture extends TrainingFixture {
  readonly cases: readonly Case[];
}

const fixture = readFixture<Fixture>("side_networks/cases.json");
const fixtures = new URL("../fixtures/side_networks/", import.meta.url).pathname;

function valuesOf(tensors: ReadonlyMap<string, Tensor>): Map<string, number[]> {
  return new Map([...tensors].map(([key, tensor]) => [key, toNumbers(tensor)]));
}

function assertNear(
  actual: ReadonlyMap<string, readonly number[]>,
  expected: ReadonlyMap<string, readonly number[]>,
  tolerance: number,
): void {
  for (const [key, reference] of expected) {
    const off = distance(actual.get(key) ?? [], reference);
    // A key's bias has a gradient of rounding noise where every position is selected.
    assert.ok(off <= tolerance * norm(reference) + 1e-9, `${key}: ${off} off of ${norm(reference)}`);
  }
}

/** The tiny BERT with a network beside it that has the fixture's weights. */
async function withWeights(
  test: Fixture["cases"][number],
  dtype: DType,
  body: (classifier: Classifier) => void,
): Promise<void> {
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(smallBertFolder, { dtype });
    applyMethod(classifier, test.method, test.options);
    const weights = numbersIn(`${fixtures}${test.name}_weights.safetensors`);
    assert.deepEqual([...classifier.trained.keys()].sort(), [...weights.keys()].sort());
    for (const [key, tensor] of classifier.trained) {
      using values = tensorFrom(weights.get(key) ?? [], { shape: tensor.shape, dtype });
      noGrad(() => ops.copy_(tensor, values).dispose());
    }
    body(classifier);
  });
}

for (const test of fixture.cases) {
  const { sequences, labels, learningRate, weightDecay } = fixture;

  for (const [dtype, tolerance] of [["float32", 1e-5], ["float64", 1e-7]] as const) {
    Deno.test(`${test.name}: PyTorch's logits, loss and gradients, in ${dtype}`, async () => {
      await withWeights(test, dtype, (classifier) => {
        const { logits, loss, gradients } = compute(classifier, sequences, labels, null);
        assertClose(logits, test.logits64.flat(), tolerance * norm(test.logits64.flat()));
        assertClose([loss], [test.loss64], tolerance);
        if (dtype === "float64") {
          assertNear(gradients, numbersIn(`${fixtures}${test.name}_gradients.safetensors`), tolerance);
        }
      });
    });
  }

  Deno.test(`${test.name}: twenty steps are PyTorch's, the losses and the weights after them`, async () => {
    await withWeights(test, "float64", (classifier) => {
      using optimizer = new AdamW(classifier.trained.values(), { weightDecay });
      const before = [...valuesOf(classifier.trained).values()].flat();
      const losses = test.losses64.map(() => {
        const loss = scope(() => {
          const batch = pack(classifier, sequences, null);
          return accumulateGradients(classifier.model, batch, (logits) => lossOf(logits, labels, classifier.target), {
            random: null,
          });
        });
        optimizer.step(learningRate);
        takeGradients(classifier);
        return loss;
      });
      assertClose(losses, test.losses64, 1e-10);
      const [after, expected] = [valuesOf(classifier.trained), numbersIn(`${fixtures}${test.name}_after.safetensors`)];
      for (const [key, numbers] of after) {
        // Adam makes steps of a gradient that is rounding noise.
        if (!key.endsWith("key.bias")) assertClose(numbers, expected.get(key) ?? [], 1e-6);
      }
      assert.ok(distance([...after.values()].flat(), before) > 0.1);
    });
  });

  Deno.test(`${test.name}: its layers begin as PyTorch picks them from the backbone's, to the bit`, async () => {
    using classifier = await loadClassifier(smallBertFolder);
    applyMethod(classifier, test.method, test.options);
    const values = valuesOf(classifier.trained);
    for (const [key, numbers] of numbersIn(`${fixtures}${test.name}_begin.safetensors`)) {
      assert.deepEqual(values.get(key), numbers, key);
    }
  });
}

const lengths = [9, 3, 17, 1, 6, 12];
const labels = [0, 1, 0, 1, 0, 1];

const networks: readonly (readonly [string, MethodOptions])[] = [
  ["lst", { lstReduction: 2 }],
  ["lst", { lstReduction: 4, lstLayers: 2, lstInit: "random" }],
  ["side", { sideLayers: 2 }],
];

const models: Readonly<Record<string, (dropout: number, dtype: DType) => Classifier>> = {
  "a BERT": (dropout, dtype) => randomBert({ dropout, dtype }),
  "a BERT with its standard head": (dropout, dtype) => randomBert({ dropout, dtype, pooling: "cls" }),
  "an OPT": (dropout, dtype) => randomOpt({ dropout, dtype }),
  "an OPT whose layers end with a norm": (dropout, dtype) => randomOpt({ dropout, dtype, fields: postNorm }),
};

/** The gradients of a step, by the walk through the layers or in one graph. */
function gradientsOf(classifier: Classifier, k: SelectionSize, inOneGraph: boolean): ReadonlyMap<string, number[]> {
  return scope(() => {
    using positions = new Generator(3);
    using selected = new Generator(1);
    using rest = new Generator(2);
    const chosen = selectPositions(lengths, k, positions, classifier.model.pooling);
    const batch = pack(classifier, randomSequences(lengths), chosen, { rowsPerBlock: 20 });
    const loss = (logits: Tensor): Tensor => lossOf(logits, labels, classifier.target);
    const random = { selected, rest };
    if (inOneGraph) backward(loss(forward(classifier.model, batch, random)));
    else accumulateGradients(classifier.model, batch, loss, { random });
    return takeGradients(classifier);
  });
}

// Each network with each model is more than is needed: OPT's layers begin or end with a norm, and its head reads the last.
const pairs: Readonly<Record<string, readonly number[]>> = {
  ...{ "a BERT": [0, 1, 2], "a BERT with its standard head": [1], "an OPT": [0, 2] },
  "an OPT whose layers end with a norm": [1],
};

for (const [name, create] of Object.entries(models)) {
  for (const [method, options] of networks.filter((_, index) => pairs[name]?.includes(index))) {
    Deno.test(`gradients are those of one graph, and of masked mode: ${method} ${JSON.stringify(options)}, ${name}`, async () => {
      await assertNothingLeft(() => {
        using classifier = create(0.2, "float64");
        applyMethod(classifier, method, options);
        for (const k of [4, "all"] as const) {
          const expected = gradientsOf(classifier, k, true);
          assertNear(gradientsOf(classifier, k, false), expected, 1e-12);
          for (const [key, gradient] of expected) {
            assert.equal(gradient.some((value) => value !== 0), classifier.trained.has(key), key);
          }
        }
        using positions = new Generator(4);
        const selected = selectPositions(lengths, 4, positions, classifier.model.pooling);
        const [split, masked] = (["split", "masked"] as const).map((mode) =>
          compute(classifier, randomSequences(lengths), labels, selected, { mode, rowsPerBlock: 20 })
        );
        assert.ok(split && masked);
        assertClose(split.logits, masked.logits, 1e-12);
        assertNear(split.gradients, masked.gradients, 1e-10);
      });
    });
  }
}

Deno.test("a language model learns by a network beside it, its head in parts", async () => {
  await assertNothingLeft(() => {
    for (const [method, options] of networks) {
      using classifier = randomOpt({ target: "nextToken", pooling: "each", dtype: "float64" });
      applyMethod(classifier, method, options);
      const gradients = (rowsPerLogits: number): ReadonlyMap<string, number[]> =>
        scope(() => {
          const batch = pack(classifier, randomSequences(lengths), null);
          const loss = (logits: Tensor): Tensor => ops.sum(ops.mul(logits, logits));
          accumulateGradients(classifier.model, batch, loss, { random: null, rowsPerLogits });
          return takeGradients(classifier);
        });
      assertNear(gradients(7), gradients(100), 1e-12);
    }
  });
});

const longExamples = labelledSequences([200, 3, 190, 180, 12]);

for (const [method, options] of networks) {
  const named = `${method} ${JSON.stringify(options)}`;

  Deno.test(`an optimizer in backward leaves the same weights, to the bit: ${named}`, async () => {
    const trained = async (optimizerInBackward: boolean): Promise<Map<string, number[]>> => {
      using classifier = randomBert({ dropout: 0.1 });
      applyMethod(classifier, method, options);
      const settings = {
        k: 4,
        batchSize: 5,
        maxSteps: 3,
        learningRate: 1e-2,
        maxGradNorm: 0.01,
        clipping: "layer",
      } as const;
      await train(classifier, { train: longExamples }, { ...settings, optimizerInBackward });
      return valuesOf(namedParameters(classifier.model));
    };
    assert.deepEqual(await trained(true), await trained(false));
  });

  Deno.test(`nothing is computed again: auto stores, recompute is refused: ${named}`, async () => {
    using classifier = randomBert();
    applyMethod(classifier, method, options);
    const step = { lengths, k: 4, precision: "float32", optimizerInBackward: false } as const;
    assert.equal(planActivations(classifier.model, step, null).activations, "store");
    assert.equal(planActivations(classifier.model, step, 1e8).activations, "store");
    assert.throws(() => planActivations(classifier.model, step, 1e5), { name: "OptionError", message: /needs about/ });
    const refused = {
      name: "OptionError",
      message: /^activations are recompute, but a network beside .* store or auto$/,
    };
    await assert.rejects(train(classifier, { train: longExamples }, { activations: "recompute" }), refused);
  });

  Deno.test(`in bf16 a step is near that in float32: ${named}`, async () => {
    await assertNothingLeft(() => {
      using classifier = randomBert();
      applyMethod(classifier, method, options);
      const gradients = (precision: "float32" | "bf16"): number[] =>
        scope(() => {
          const batch = pack(classifier, randomSequences(lengths), null);
          const loss = (logits: Tensor): Tensor => lossOf(logits, labels, classifier.target);
          accumulateGradients(classifier.model, batch, loss, { random: null, precision });
          return [...takeGradients(classifier).values()].flat();
        });
      const [exact, near] = [gradients("float32"), gradients("bf16")];
      const off = distance(near, exact) / norm(exact);
      assert.ok(off > 1e-5 && off < 0.05, `${off}`);
    });
  });

  for (const pooling of ["cls", "mean"] as const) {
    Deno.test(`what is saved loads again with the same logits: ${named}, ${pooling}`, async () => {
      await assertNothingLeft(() => saveAndLoad(method, options, pooling));
    });
  }
}

async function saveAndLoad(method: string, options: MethodOptions, pooling: Pooling): Promise<void> {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  const target = { labels: ["ham", "spam"] };
  using classifier = await loadClassifier(smallBertFolder, { target, pooling });
  applyMethod(classifier, `selective+${method}`, options);
  await train(classifier, { train: labelledSequences([9, 3, 17]) }, {
    k: 3,
    batchSize: 3,
    maxSteps: 2,
    learningRate: 1e-2,
  });
  const logits = (of: Classifier): readonly number[] => compute(of, randomSequences(lengths), labels, null).logits;
  assert.throws(() => mergeAdapter(classifier), {
    name: "OptionError",
    message: /it cannot be merged, save it beside/,
  });
  saveAdapter(classifier, folder);
  using again = await loadClassifier(folder);
  assert.deepEqual(logits(again), logits(classifier));
  assert.deepEqual([...again.trained.keys()], [...classifier.trained.keys()]);
  assert.deepEqual(valuesOf(again.trained), valuesOf(classifier.trained));
}

Deno.test("what is not the backbone's begins at random as the seed says, gates at a half", () => {
  const begin = (options: MethodOptions): Map<string, number[]> => {
    using classifier = randomBert();
    applyMethod(classifier, "lst", { lstReduction: 2, ...options });
    const own = [...classifier.trained].filter(([key]) => key.includes("side_network"));
    return valuesOf(new Map(own));
  };
  assert.deepEqual(begin({ seed: 1 }), begin({ seed: 1 }));
  assert.notDeepEqual(begin({ seed: 1 }), begin({ seed: 2 }));
  for (const [key, numbers] of begin({ lstInit: "random" })) {
    const most = Math.max(...numbers.map(Math.abs));
    if (key.endsWith("gate.alpha")) assert.deepEqual(numbers, [0]);
    if (key.endsWith("down.weight")) assert.ok(most <= 1 / Math.sqrt(32) && most > 0.8 / Math.sqrt(32), key);
    if (key.endsWith("query.weight")) assert.ok(most > 0.02 && most < 0.02 * 6, `${key} ${most}`);
  }
});

const layer = (size: number, inner: number): number => 4 * (size * size + size) + 2 * size * inner + inner + 5 * size;

Deno.test("as many parameters train as the equations have", () => {
  const counted = (method: string, options: MethodOptions): number => {
    using classifier = randomBert({ hiddenSize: 64, intermediateSize: 256, numHiddenLayers: 6 });
    applyMethod(classifier, method, options);
    const own = [...classifier.trained].filter(([key]) => key.includes("side_network"));
    return own.reduce((sum, [, { size }]) => sum + size, 0);
  };
  // Every layer of the network with its map down and its gate, the embeddings' map down, the map up.
  const ladder = (width: number, layers: number): number =>
    layers * (layer(width, 4 * width) + 64 * width + width + 1) + (64 * width + width) + (64 * width + 64);
  assert.equal(counted("lst", {}), ladder(8, 6));
  assert.equal(counted("lst", { lstReduction: 4, lstLayers: 4 }), ladder(16, 4));
  assert.equal(counted("side", {}), 2 * layer(64, 256) + 1);
});

/** The bytes that are live when the loss is known, beside the batch. */
function activationBytes(classifier: Classifier): number {
  return scope(() => {
    const batch = pack(classifier, randomSequences(lengths), null);
    const before = memory().liveBytes;
    let bytes = 0;
    const loss = (logits: Tensor): Tensor => lossOf(logits, labels, classifier.target);
    accumulateGradients(classifier.model, batch, loss, {
      random: null,
      onLoss: () => bytes = memory().liveBytes - before,
    });
    takeGradients(classifier);
    return bytes;
  });
}

Deno.test("of the backbone nothing is kept but the states that are read", () => {
  const bytesOf = (method: string, options: MethodOptions, layers: number): number => {
    using classifier = randomBert({ hiddenSize: 64, intermediateSize: 128, numHiddenLayers: layers });
    applyMethod(classifier, method, options);
    return activationBytes(classifier);
  };
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  for (const [method, options] of [["lst", { lstLayers: 2 }], ["side", { sideLayers: 2 }]] as const) {
    assert.equal(bytesOf(method, options, 3), bytesOf(method, options, 9), method);
  }
  const [two, three] = [2, 3].map((lstLayers) => bytesOf("lst", { lstLayers }, 9));
  const [state, width, inner] = [64, 8, 16];
  // Beside the state: what is below, its difference to the state projected, and a layer of its width.
  const most = state + 2 * width + 8 * width + 2 * inner;
  assert.ok(two && three && three - two >= 4 * rows * state && three - two <= 4 * rows * most, `${three} ${two}`);
  assert.ok(three < bytesOf("lora", {}, 9) / 4);
});

const sizes = { hiddenSize: 128, numHiddenLayers: 4, intermediateSize: 512 };
const wide: Readonly<Record<string, () => Classifier>> = {
  "a BERT": () => randomBert({ ...sizes, dropout: 0.1 }),
  "an OPT": () => randomOpt({ hiddenSize: 128, fields: { num_hidden_layers: 4, ffn_dim: 512 } }),
};

for (const [name, create] of Object.entries(wide)) {
  Deno.test(`a step's peak is at most the estimate, and at least eight tenths of it: ${name}`, async () => {
    await assertNothingLeft(() => {
      for (
        const [method, options] of [["lst", {}], ["lst", { lstReduction: 2, lstLayers: 2 }], ["side", {}]] as const
      ) {
        for (const [k, precision] of [[8, "float32"], ["all", "bf16"]] as const) {
          using classifier = create();
          const outside = memory().liveBytes - parameterBytes(classifier.model);
          applyMethod(classifier, method, options);
          const step = { lengths: new Array<number>(8).fill(64), k, precision, optimizerInBackward: true };
          const plan = planActivations(classifier.model, step, null);
          using steps = new ProfiledStep(classifier, { ...step, ...plan, seed: 1 });
          steps.run(() => {});
          const peak = Math.max(...measureMemory(steps, classifier, outside).pieces.map(({ peakBytes }) => peakBytes));
          const share = peak / estimatePeak(classifier.model, step, plan);
          assert.ok(share <= 1 && share >= 0.8, `${share} of the estimate: ${method}, k ${k}, ${precision}`);
        }
      }
    });
  });
}

Deno.test("a profile's parts add up, and the backbone's work is forward without gradients", async () => {
  await assertNothingLeft(async () => {
    for (const [method, options] of networks) {
      const { timeline, peak, ...result } = await profileStep(() => randomBert({ dropout: 0.1 }), {
        ...{ lengths: [20, 12, 30, 7], method, steps: 1, ...options },
      });
      let before = result.weightsBytes + result.optimizerBytes;
      for (
        const { weightsBytes, optimizerBytes, gradientBytes, activationBytes, workspaceBytes, ...piece } of timeline
      ) {
        const parts = [weightsBytes, optimizerBytes, gradientBytes, activationBytes, workspaceBytes];
        assert.equal(parts.reduce((sum, bytes) => sum + bytes), piece.peakBytes);
        assert.ok(parts.every((bytes) => bytes >= 0), JSON.stringify({ parts, piece }));
        assert.equal(piece.liveBytes, before + piece.addedBytes);
        before = piece.liveBytes;
      }
      const layersOf = (phase: string): Set<number | null> =>
        new Set(timeline.filter((piece) => piece.phase === phase).map(({ layer }) => layer));
      assert.deepEqual(layersOf("forwardWithoutGrad").isSupersetOf(new Set([0, 1, 2])), true);
      assert.match(peak.where, /through (layer [123] of 3|the embeddings|the head)$/);
    }
  });
});

Deno.test("without gradients the logits are those with", async () => {
  await assertNothingLeft(() => {
    for (const [method, options] of networks) {
      using classifier = randomBert({ dtype: "float64" });
      applyMethod(classifier, method, options);
      const logits = (): number[] =>
        scope(() => toNumbers(forward(classifier.model, pack(classifier, randomSequences(lengths), null), null)));
      assertClose(noGrad(logits), logits(), 1e-12);
    }
  });
});
