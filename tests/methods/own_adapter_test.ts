// Adapters in Fewtune's own format: methods together, and those that PEFT has not; and what is refused of them.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  applyMethod,
  type Classifier,
  Generator,
  loadClassifier,
  type MethodOptions,
  noGrad,
  ops,
  type Pooling,
  saveAdapter,
  scope,
  toNumbers,
  train,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { copyCheckpoint } from "../support/checkpoints.ts";
import { readFixture, smallBertFolder } from "../support/small_bert.ts";
import { compute } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const { sequences, labels } = readFixture<{ sequences: Parameters<typeof compute>[1]; labels: readonly number[] }>(
  "peft/cases.json",
);

function logitsOf(classifier: Classifier): readonly number[] {
  return compute(classifier, sequences, labels, null).logits;
}

/** Applies a method, and gives all that it trains other values than those that it starts from. */
function adapt(classifier: Classifier, method: string, options: MethodOptions): void {
  applyMethod(classifier, method, options);
  using random = new Generator(6);
  for (const tensor of classifier.trained.values()) {
    noGrad(() => scope(() => void ops.add_(tensor, ops.normal_(ops.emptyLike(tensor), 0, 0.1, { generator: random }))));
  }
}

function tensorNames(folder: string): string[] {
  using file = openSafetensors(`${folder}/fewtune_adapter.safetensors`);
  return [...file.tensors.keys()].sort();
}

const methods: readonly (readonly [string, MethodOptions, Pooling])[] = [
  ["bitfit", {}, "cls"],
  ["selective+freeze+bitfit", { freezeLayers: 1, bitfitBiases: "query-intermediate" }, "mean"],
  ["lora+bitfit", { loraR: 3, useDora: true, freezeEmbeddings: true }, "mean"],
  ["lora+ia3", { ia3Targets: ["query", "output"], loraTargets: ["output"] }, "cls"],
  ["selective+adapters", { adapterSize: 6, adapterDrop: 1 }, "mean"],
  ["lora+adapters", { adapterSize: 6, adapterPlacement: "pfeiffer", adapterActivation: "relu" }, "cls"],
  ["selective+freeze+compacter", { freezeLayers: 1, compacterSize: 8, compacterRank: 2 }, "cls"],
  ["bitfit+compacter", { compacterN: 2 }, "mean"],
];

for (const [method, options, pooling] of methods) {
  Deno.test(`saved is what was trained, and it loads again with the same logits: ${method}, ${pooling}`, async () => {
    using temporary = temporaryFolder();
    const folder = join(temporary.path, "adapter");
    await assertNothingLeft(async () => {
      using classifier = await loadClassifier(smallBertFolder, { pooling, target: { labels: ["a", "b", "c"] } });
      const before = logitsOf(classifier);
      adapt(classifier, method, options);
      assert.notDeepEqual(logitsOf(classifier), before);
      saveAdapter(classifier, folder);
      assert.deepEqual(tensorNames(folder), [...classifier.trained.keys()].sort());
      using again = await loadClassifier(folder);
      assert.deepEqual(logitsOf(again), logitsOf(classifier));
      assert.deepEqual([...again.trained.keys()], [...classifier.trained.keys()]);
      assert.deepEqual(again.adaptation?.options, classifier.adaptation?.options);
      assert.deepEqual(again.adaptation?.methods, classifier.adaptation?.methods);
    });
  });
}

Deno.test("an adapter that is loaded trains on, and all but what it trains stays to the bit", async () => {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  using classifier = await loadClassifier(smallBertFolder);
  adapt(classifier, "lora+bitfit", {});
  saveAdapter(classifier, folder);
  using again = await loadClassifier(folder);
  const values = (): Map<string, number[]> => new Map([...again.trained].map(([key, each]) => [key, toNumbers(each)]));
  const before = values();
  const examples = sequences.map((sequence, index) => ({ ...sequence, label: labels[index] ?? 0 }));
  await train(again, { train: examples }, { k: 2, batchSize: 4, maxSteps: 2, learningRate: 1e-2 });
  for (const [key, numbers] of values()) assert.notDeepEqual(numbers, before.get(key), key);
});

/** Saves an adapter, changes its files, and expects that it is refused. */
async function refused(change: (folder: string) => void, message: RegExp): Promise<void> {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  {
    using classifier = await loadClassifier(smallBertFolder);
    adapt(classifier, "lora+bitfit", { loraR: 3 });
    saveAdapter(classifier, folder);
  }
  change(folder);
  await assertNothingLeft(() => assert.rejects(loadClassifier(folder), { name: "CheckpointError", message }));
}

function setFields(fields: Readonly<Record<string, unknown>>): (folder: string) => void {
  return (folder) => {
    const path = `${folder}/fewtune_adapter.json`;
    Deno.writeTextFileSync(path, JSON.stringify({ ...JSON.parse(Deno.readTextFileSync(path)), ...fields }));
  };
}

/** Makes another checkpoint of the tiny BERT, whose first layer has other values, the adapter's base. */
function otherBase(folder: string): void {
  const base = `${folder}-base`;
  copyCheckpoint(smallBertFolder, base, {});
  const path = `${base}/model.safetensors`;
  const bytes = Deno.readFileSync(path);
  const first = 8 + (bytes[0] ?? 0) + 256 * (bytes[1] ?? 0);
  bytes[first] = (bytes[first] ?? 0) ^ 1;
  Deno.writeFileSync(path, bytes);
  setFields({ base })(folder);
}

const damages: readonly (readonly [string, (folder: string) => void, RegExp])[] = [
  ["another version's", setFields({ format: 2 }), /format is 2, this Fewtune reads 1/],
  ["an unknown method", setFields({ method: "lora+magic" }), /fewtune_adapter\.json: .*"magic" is none that is known/],
  ["no method", setFields({ method: 3 }), /is damaged: it has to have a method/],
  ["an option that is none", setFields({ options: { loraRange: 3 } }), /there is no option "?loraRange/],
  ["an option that cannot be", setFields({ options: { loraR: 0 } }), /loraR is 0, it has to be/],
  [
    "another rank",
    setFields({ options: { loraR: 4 } }),
    /does not fit the base .*lora_A\.weight is \[3,32\] and not \[4,32\]/,
  ],
  [
    "another method's option",
    setFields({ options: { freezeLayers: 1 } }),
    /freezeLayers is 1, but the method lora\+bitfit/,
  ],
  ["a method that makes no adapter", setFields({ method: "full", options: {} }), /the method full makes no adapter/],
  ["fewer methods", setFields({ method: "lora", options: { loraR: 3 } }), /unexpected .*bias/],
  ["no base", setFields({ base: "no/such/folder" }), /fewtune_adapter\.json: .*no\/such\/folder.*; let base be/],
  [
    "another base",
    otherBase,
    /was trained on a base with the fingerprint [0-9a-f]{16}, that of .*-base is [0-9a-f]{16}/,
  ],
  ["no weights", (folder) => Deno.removeSync(`${folder}/fewtune_adapter.safetensors`), /does not exist/],
];

for (const [name, change, message] of damages) {
  Deno.test(`refused, and nothing is left: ${name}`, () => refused(change, message));
}
