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
  tensorFrom,
  toNumbers,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { type SafetensorsSource, writeSafetensors } from "../../src/files/safetensors_write.ts";
import { savedPart } from "../../src/methods/saved_part.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { type ComputedFixture, numbersIn, type TrainingFixture } from "../support/fixture_files.ts";
import { distance, norm } from "../support/numbers.ts";
import { compute, readFixture, smallBertFolder } from "../support/small_bert.ts";
import { smallOptFolder } from "../support/small_opt.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Fixture extends TrainingFixture {
  readonly cases: readonly (ComputedFixture & { readonly name: string })[];
}

type Case = Fixture["cases"][number] & TrainingFixture & { readonly base: string };

const fixtures = new URL("../fixtures/peft/", import.meta.url).pathname;
const weightsName = "adapter_model.safetensors";

function casesOf(name: string, base: string): Case[] {
  const { cases, ...about } = readFixture<Fixture>(`peft/${name}.json`);
  return cases.map((each) => ({ ...each, ...about, base }));
}

const cases = [...casesOf("cases", smallBertFolder), ...casesOf("opt_cases", smallOptFolder)];

/** PEFT's prefix of keys: where it put nothing into the model it is shorter. */
const keyPrefix = /^base_model\.(model\.)?/;

/** The numbers of a file of tensors, by its keys without PEFT's prefix. */
function numbersOf(path: string): Map<string, number[]> {
  return new Map([...numbersIn(path)].map(([key, numbers]) => [key.replace(keyPrefix, ""), numbers]));
}

/** The tensors of a file as another one's. */
function sourcesIn(path: string, prefix = ""): SafetensorsSource[] {
  using file = openSafetensors(path);
  return [...file.tensors].map(([key, { dtype, shape, byteLength }]) => {
    const bytes = new Uint8Array(byteLength);
    file.readInto(key, bytes);
    return { name: prefix + key, dtype, shape, bytes: () => bytes };
  });
}

/** Loads PEFT's adapter with its base; what computes its prefixes is put beside them where it is asked for. */
async function withAdapter(
  { name, base }: Case,
  dtype: DType,
  test: (classifier: Classifier) => void,
  { hasEncoder = false } = {},
): Promise<void> {
  using temporary = temporaryFolder();
  const config = JSON.parse(Deno.readTextFileSync(`${fixtures}${name}/adapter_config.json`));
  const encoder = hasEncoder && config["prefix_projection"] === true
    ? sourcesIn(`${fixtures}${name}/before.safetensors`, "base_model.").filter(({ name }) => name.includes("encoder"))
    : [];
  const tensors = [...sourcesIn(`${fixtures}${name}/${weightsName}`), ...encoder];
  writeSafetensors(join(temporary.path, weightsName), tensors, { format: "pt" });
  const named = { ...config, base_model_name_or_path: base };
  Deno.writeTextFileSync(join(temporary.path, "adapter_config.json"), JSON.stringify(named));
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(temporary.path, { dtype });
    test(classifier);
  });
}

/** Numbers by the keys of parameters as a file has them: of parameters that lie side by side there, row by row. */
function asInFile(
  classifier: Classifier,
  values: ReadonlyMap<string, readonly number[]>,
): Map<string, readonly number[]> {
  const keys = new Map([...classifier.trained].map(([key, tensor]) => [tensor, key]));
  const inFile = [...savedPart(classifier)].flatMap(([name, parts]) => {
    const known = parts.map((part) => values.get(keys.get(part) ?? ""));
    if (known.includes(undefined)) return [];
    const rows = parts.length > 1 ? parts[0]?.length(0) ?? 1 : 1;
    const joined = Array.from(
      { length: rows },
      (_, row) =>
        known.flatMap((numbers = []) => numbers.slice(row * numbers.length / rows, (row + 1) * numbers.length / rows)),
    );
    return [[name.replace(keyPrefix, ""), joined.flat()] as const];
  });
  return new Map(inFile);
}

function valuesOf({ trained }: Classifier): Map<string, number[]> {
  return new Map([...trained].map(([key, tensor]) => [key, toNumbers(tensor)]));
}

function logitsOf(classifier: Classifier, { sequences, labels }: Case): readonly number[] {
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

for (const test of cases) {
  const { name, sequences, labels, logits64, loss64, losses64, learningRate, weightDecay } = test;
  for (const [dtype, tolerance] of [["float32", 1e-5], ["float64", 1e-7]] as const) {
    Deno.test(`${name}: PEFT's logits, loss and gradients, in ${dtype}`, async () => {
      await withAdapter(test, dtype, (classifier) => {
        const { logits, loss, gradients } = compute(classifier, sequences, labels, null);
        assertClose(logits, logits64.flat(), tolerance * norm(logits64.flat()));
        assertClose([loss], [loss64], tolerance);
        const [found, expected] = [
          asInFile(classifier, gradients),
          numbersOf(`${fixtures}${name}/gradients.safetensors`),
        ];
        assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
        assertGradients(found, expected, tolerance, dtype === "float64");
      }, { hasEncoder: true });
    });
  }

  Deno.test(`${name}: twenty steps are PEFT's, the losses and the weights after them`, async () => {
    await withAdapter(test, "float64", (classifier) => {
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
      const after = valuesOf(classifier);
      const [found, expected] = [asInFile(classifier, after), numbersOf(`${fixtures}${name}/after.safetensors`)];
      for (const [key, numbers] of found) assertClose(numbers, expected.get(key) ?? [], 1e-6);
      assert.ok(distance([...after.values()].flat(), before) > 0.1);
    }, { hasEncoder: true });
  });

  Deno.test(`${name}: what is saved of PEFT's adapter has its tensors to the bit, and loads again`, async () => {
    using temporary = temporaryFolder();
    const folder = join(temporary.path, "adapter");
    let before: readonly number[] = [];
    await withAdapter(test, "float32", (classifier) => {
      saveAdapter(classifier, folder);
      before = logitsOf(classifier, test);
    });
    assert.deepEqual(numbersOf(`${folder}/${weightsName}`), numbersOf(`${fixtures}${name}/${weightsName}`));
    using again = await loadClassifier(folder);
    assert.deepEqual(logitsOf(again, test), before);
  });

  const isMergeable = !/prefix|prompt/.test(name);
  if (isMergeable) {
    Deno.test(`${name}: merged it computes the same, and taken out again the base has its bits`, async () => {
      await withAdapter(test, "float32", (classifier) => {
        const [before, values] = [logitsOf(classifier, test), valuesOf(classifier)];
        using merged = mergeAdapter(classifier, { keepsWeights: true });
        assert.equal(classifier.adaptation, null);
        const within = logitsOf(classifier, test);
        assertClose(within, before, 1e-5);
        assert.notDeepEqual(within, before);
        merged.unmerge();
        assert.deepEqual(logitsOf(classifier, test), before);
        assert.deepEqual(valuesOf(classifier), values);
      });
    });
  }
}
