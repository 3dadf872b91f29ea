// Every architecture against transformers, on tiny random checkpoints made by it when the tests run: logits within 1e-5,
// every gradient within 1e-4 of its largest element, full and selective, with the standard head and that on the mean.
//
// Both in float32. Reached are 1.5e-6 for logits and loss, 5.9e-6 for gradients; where the gradient is zero, a key's bias
// in full fine-tuning, both have up to 2.3e-7.

import assert from "node:assert/strict";
import {
  accumulateGradients,
  applyMethod,
  type Classifier,
  forward,
  Generator,
  loadClassifier,
  lossOf,
  type MethodOptions,
  namedParameters,
  randomClassifier,
  saveClassifier,
  scope,
  type Tensor,
  toNumbers,
  train,
} from "../../mod.ts";
import { Dropout } from "../../src/nn/dropout.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { type ArchitectureCase, makeArchitectures, type ReferenceArchitecture } from "../support/architectures.ts";
import { contentsOf } from "../support/checkpoints.ts";
import { norm } from "../support/numbers.ts";
import { compute, type Computed, pack, takeGradients } from "../support/small_bert.ts";
import { numbersIn } from "../support/fixture_files.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const [out, architectures] = await makeArchitectures();

function load({ folder, pooling }: ArchitectureCase): Promise<Classifier> {
  return loadClassifier(`${out}/${folder}`, { pooling });
}

function largest(numbers: readonly number[]): number {
  return numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
}

/** What the walk through the layers computes, which is how training does it. */
function walk(
  classifier: Classifier,
  { sequences }: ReferenceArchitecture,
  { labels, selected }: ArchitectureCase,
  options: { readonly activations: "store" | "recompute"; readonly withDropout: boolean },
): Omit<Computed, "logits"> {
  return scope(() => {
    using selectedRandom = new Generator(1);
    using restRandom = new Generator(2);
    const random = options.withDropout ? { selected: selectedRandom, rest: restRandom } : null;
    const batch = pack(classifier, sequences, selected, { rowsPerBlock: 20 });
    const lossFor = (logits: Tensor): Tensor => lossOf(logits, labels, classifier.target);
    const { activations } = options;
    const loss = accumulateGradients(classifier.model, batch, lossFor, { random, activations });
    return { loss, gradients: takeGradients(classifier) };
  });
}

// In full fine-tuning a key's bias moves no attention weight: its gradient is rounding noise.
const keyBias = /\.(key|k_lin|k_proj)\.bias$/;

function assertGradients(
  actual: ReadonlyMap<string, number[]>,
  expected: ReadonlyMap<string, number[]>,
  isFull: boolean,
): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort());
  for (const [key, gradient] of actual) {
    const reference = expected.get(key) ?? [];
    if (isFull && keyBias.test(key)) {
      assert.ok(largest([...gradient, ...reference]) < 1e-6, `${key}: ${largest(gradient)}`);
    } else {
      const off = largest(gradient.map((value, index) => value - (reference[index] ?? NaN))) / largest(reference);
      assert.ok(largest(reference) > 1e-3 && off <= 1e-4, `${key}: ${off} off, of ${largest(reference)}`);
    }
  }
}

for (const architecture of architectures) {
  const { name, sequences, cases } = architecture;
  for (const test of cases) {
    Deno.test(`${name}, ${test.name}: logits, loss and every gradient are the reference's`, async () => {
      const expected = numbersIn(`${out}/${name}/${test.name}.safetensors`);
      const isFull = test.selected === null;
      await assertNothingLeft(async () => {
        using classifier = await load(test);
        for (const run of [{ rowsPerBlock: 1024 }, { rowsPerBlock: 20 }, { mode: "masked" }] as const) {
          const { logits, loss, gradients } = compute(classifier, sequences, test.labels, test.selected, run);
          assertClose(logits, test.logits.flat(), 1e-5);
          assertClose([loss], [test.loss], 1e-5);
          assertGradients(gradients, expected, isFull);
        }
        const { loss, gradients } = walk(classifier, architecture, test, { activations: "store", withDropout: false });
        assertClose([loss], [test.loss], 1e-5);
        assertGradients(gradients, expected, isFull);
      });
    });
  }

  Deno.test(`${name}: stored and recomputed gradients are the same to the bit, dropout on`, async () => {
    await assertNothingLeft(async () => {
      for (const test of cases.filter(({ selected }) => selected !== null)) {
        using classifier = await load(test);
        const [stored, recomputed] = (["store", "recompute"] as const).map((activations) =>
          walk(classifier, architecture, test, { activations, withDropout: true })
        );
        assert.deepEqual(stored, recomputed);
        const without = walk(classifier, architecture, test, { activations: "store", withDropout: false });
        assert.notEqual(stored?.loss, without.loss);
      }
    });
  });

  Deno.test(`${name}: every method makes steps without a word of the architecture, and nothing is left`, async () => {
    const methods: readonly [string, MethodOptions, trained: RegExp][] = [
      ["full", {}, /./],
      ["selective", {}, /./],
      ["freeze", { freezeLayers: 1 }, /layers?\.[12]\.|decoder\.(final_layer_norm|project_out)\./],
      ["lora", {}, /lora_[AB]/],
      ["selective+freeze+lora", { freezeLayers: 1 }, /layers?\.[12]\..*lora_[AB]/],
    ];
    const [test] = cases;
    assert.ok(test);
    for (const [method, options, trained] of methods) {
      await assertNothingLeft(async () => {
        for (const pooling of [test.pooling, "mean"] as const) {
          using classifier = await loadClassifier(`${out}/${name}/mean`, { pooling });
          applyMethod(classifier, method, options);
          const before = weightsOf(classifier);
          const examples = sequences.map((sequence, index) => ({ ...sequence, label: test.labels[index] ?? 0 }));
          const k = method.startsWith("selective") ? 4 : "all";
          await train(classifier, { train: examples }, { k, batchSize: 5, maxSteps: 2, warmupRatio: 0 });
          const head = new Set(namedParameters(classifier.model.head).values());
          for (const [key, tensor] of namedParameters(classifier.model)) {
            const isTrained = head.has(tensor) || trained.test(key);
            assert.equal(toNumbers(tensor).join() !== before.get(key)?.join(), isTrained, `${method}: ${key}`);
          }
        }
      });
    }
  });

  Deno.test(`${name}: what transformers saved is saved with the same keys and shapes`, async () => {
    using temporary = temporaryFolder();
    const folder = `${temporary.path}/saved`;
    using classifier = await loadClassifier(`${out}/${name}`);
    saveClassifier(classifier, folder);
    assert.deepEqual(contentsOf(folder), contentsOf(`${out}/${name}`));
    const [saved, original] = [folder, `${out}/${name}`].map((from) =>
      JSON.parse(Deno.readTextFileSync(`${from}/config.json`))
    );
    for (const field of ["architectures", "id2label", "label2id", "model_type"]) {
      assert.deepEqual(saved[field], original[field], field);
    }
  });

  Deno.test(`${name}: dropout is where transformers has it, with its probabilities, and nowhere else`, async () => {
    using classifier = await loadClassifier(`${out}/${name}`);
    const inputIds = Array.from({ length: 10 }, (_, index) => 2 + index);
    const sites = recordDropout(() =>
      scope(() => {
        using random = new Generator(1);
        const batch = pack(classifier, [{ inputIds, tokenTypeIds: inputIds.map(() => 0) }], null);
        forward(classifier.model, batch, { selected: random, rest: random });
      })
    );
    assert.deepEqual(sites, architecture.dropout);
  });

  Deno.test(`${name}: random weights are as transformers starts a model of the same configuration`, () => {
    const { config, weights } = architecture.start;
    const target = { labels: ["a", "b", "c"] };
    using classifier = randomClassifier(config, { target, pooling: name.startsWith("opt") ? "last" : "cls" });
    const own = weightsOf(classifier);
    assert.deepEqual([...own.keys()].sort(), Object.keys(weights).sort());
    for (const [key, tensor] of namedParameters(classifier.model)) {
      const [numbers, expected] = [own.get(key) ?? [], weights[key]];
      assert.ok(expected);
      if ("constant" in expected) {
        assert.ok(numbers.every((number) => number === expected.constant), key);
      } else {
        const { deviation, mean } = statistics(numbers);
        // Five times the deviation that the difference of two such estimates has.
        const bound = 5 / Math.sqrt(numbers.length);
        assert.ok(Math.abs(deviation / expected.deviation - 1) < bound, `${key}: ${deviation}`);
        assert.ok(Math.abs(mean - expected.mean) < Math.SQRT2 * bound * deviation, `${key}: ${mean}`);
        assert.deepEqual(zeroRows(numbers, tensor.length(1)), expected.zeroRows, key);
      }
    }
  });
}

function weightsOf({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

/** Probability and number of elements of each dropout that `body` does. */
function recordDropout(body: () => void): [number, number][] {
  const sites: [number, number][] = [];
  const { apply, applyInPlace } = Dropout.prototype;
  const recording = (original: typeof apply): typeof apply =>
    function (this: Dropout, input, random): Tensor {
      if (this.isActive(random)) sites.push([this.probability, input.size]);
      return original.call(this, input, random);
    };
  Object.assign(Dropout.prototype, { apply: recording(apply), applyInPlace: recording(applyInPlace) });
  try {
    body();
  } finally {
    Object.assign(Dropout.prototype, { apply, applyInPlace });
  }
  return sites;
}

function statistics(numbers: readonly number[]): { readonly mean: number; readonly deviation: number } {
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const deviation = norm(numbers.map((number) => number - mean)) / Math.sqrt(numbers.length - 1);
  return { mean, deviation };
}

function zeroRows(numbers: readonly number[], size: number): number[] {
  const count = numbers.length / size;
  return Array.from({ length: count }, (_, row) => row).filter((row) =>
    numbers.slice(row * size, (row + 1) * size).every((number) => number === 0)
  );
}
