// PEFT's methods compute here what they compute there: logits, loss, gradients, twenty steps; and their files go both ways.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AdamW,
  type Classifier,
  type DType,
  loadClassifier,
  mergeAdapter,
  saveAdapter,
  type Sequence,
  tensorFrom,
  toNumbers,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { distance, norm } from "../support/numbers.ts";
import { compute, readFixture, smallBertFolder } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Fixture {
  readonly sequences: readonly Sequence[];
  readonly labels: readonly number[];
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly cases: readonly {
    readonly name: string;
    readonly logits64: readonly (readonly number[])[];
    readonly loss64: number;
    readonly losses64: readonly number[];
  }[];
}

const { sequences, labels, learningRate, weightDecay, cases } = readFixture<Fixture>("peft/cases.json");
const fixtures = new URL("../fixtures/peft/", import.meta.url).pathname;

/** The numbers of a file of tensors, by its keys without PEFT's prefix. */
function numbersIn(path: string): Map<string, number[]> {
  using file = openSafetensors(path);
  return new Map([...file.tensors].map(([key, { byteLength }]) => {
    const numbers = new Float32Array(byteLength / 4);
    file.readInto(key, new Uint8Array(numbers.buffer));
    return [key.replace("base_model.model.", ""), [...numbers]];
  }));
}

/** Loads PEFT's adapter with the tiny BERT as its base. */
async function withAdapter(name: string, dtype: DType, test: (classifier: Classifier) => void): Promise<void> {
  using temporary = temporaryFolder();
  const weights = "adapter_model.safetensors";
  const config = JSON.parse(Deno.readTextFileSync(`${fixtures}${name}/adapter_config.json`));
  Deno.copyFileSync(`${fixtures}${name}/${weights}`, join(temporary.path, weights));
  const named = { ...config, base_model_name_or_path: smallBertFolder };
  Deno.writeTextFileSync(join(temporary.path, "adapter_config.json"), JSON.stringify(named));
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(temporary.path, { dtype });
    test(classifier);
  });
}

function valuesOf({ trained }: Classifier): Map<string, number[]> {
  return new Map([...trained].map(([key, tensor]) => [key, toNumbers(tensor)]));
}

function logitsOf(classifier: Classifier): readonly number[] {
  return compute(classifier, sequences, labels, null).logits;
}

/** Compares all gradients together, and in float64 each parameter's: a key's own is the difference of large numbers. */
function assertGradients(
  found: ReadonlyMap<string, readonly number[]>,
  expected: ReadonlyMap<string, readonly number[]>,
  tolerance: number,
  isEach: boolean,
): void {
  const all = (gradients: ReadonlyMap<string, readonly number[]>): number[] =>
    [...expected.keys()].flatMap((key) => gradients.get(key) ?? []);
  for (const [key, reference] of [["all", all(expected)] as const, ...(isEach ? expected : [])]) {
    const own = key === "all" ? all(found) : found.get(key) ?? [];
    const off = distance(own, reference);
    assert.ok(off <= tolerance * norm(reference), `${key}: ${off} off of ${norm(reference)}`);
  }
}

for (const { name, logits64, loss64, losses64 } of cases) {
  for (const [dtype, tolerance] of [["float32", 1e-5], ["float64", 1e-7]] as const) {
    Deno.test(`${name}: PEFT's logits, loss and gradients, in ${dtype}`, async () => {
      await withAdapter(name, dtype, (classifier) => {
        const { logits, loss, gradients } = compute(classifier, sequences, labels, null);
        assertClose(logits, logits64.flat(), tolerance * norm(logits64.flat()));
        assertClose([loss], [loss64], tolerance);
        const expected = numbersIn(`${fixtures}${name}/gradients.safetensors`);
        assert.deepEqual([...classifier.trained.keys()].sort(), [...expected.keys()].sort());
        assertGradients(gradients, expected, tolerance, dtype === "float64");
      });
    });
  }

  Deno.test(`${name}: twenty steps are PEFT's, the losses and the weights after them`, async () => {
    await withAdapter(name, "float64", (classifier) => {
      using optimizer = new AdamW(classifier.trained.values(), { weightDecay });
      const before = [...valuesOf(classifier).values()].flat();
      const losses = losses64.map(() => {
        const { loss, gradients } = compute(classifier, sequences, labels, null);
        for (const [key, parameter] of classifier.trained) {
          const numbers = gradients.get(key) ?? [];
          using gradient = tensorFrom(numbers, { shape: parameter.shape, dtype: parameter.dtype });
          parameter.grad = gradient;
        }
        optimizer.step(learningRate);
        return loss;
      });
      assertClose(losses, losses64, 1e-10);
      const [after, expected] = [valuesOf(classifier), numbersIn(`${fixtures}${name}/after.safetensors`)];
      for (const [key, numbers] of after) assertClose(numbers, expected.get(key) ?? [], 1e-6);
      assert.ok(distance([...after.values()].flat(), before) > 0.1);
    });
  });

  Deno.test(`${name}: what is saved of PEFT's adapter has its tensors to the bit, and loads again`, async () => {
    using temporary = temporaryFolder();
    const folder = join(temporary.path, "adapter");
    let before: readonly number[] = [];
    await withAdapter(name, "float32", (classifier) => {
      saveAdapter(classifier, folder);
      before = logitsOf(classifier);
    });
    const weights = "adapter_model.safetensors";
    assert.deepEqual(numbersIn(`${folder}/${weights}`), numbersIn(`${fixtures}${name}/${weights}`));
    using again = await loadClassifier(folder);
    assert.deepEqual(logitsOf(again), before);
  });

  Deno.test(`${name}: merged it computes the same, and taken out again the base has its bits`, async () => {
    await withAdapter(name, "float32", (classifier) => {
      const [before, values] = [logitsOf(classifier), valuesOf(classifier)];
      using merged = mergeAdapter(classifier, { keepsWeights: true });
      assert.equal(classifier.adaptation, null);
      const within = logitsOf(classifier);
      assertClose(within, before, 1e-5);
      assert.notDeepEqual(within, before);
      merged.unmerge();
      assert.deepEqual(logitsOf(classifier), before);
      assert.deepEqual(valuesOf(classifier), values);
    });
  });
}
