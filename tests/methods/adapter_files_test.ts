// Adapters as files: they are PEFT's, load again with the same logits, and damaged ones are refused.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  applyMethod,
  type Classifier,
  Generator,
  loadClassifier,
  type LoadOptions,
  mergeAdapter,
  namedParameters,
  noGrad,
  ops,
  type Pooling,
  saveAdapter,
  saveClassifier,
  trainedParameters,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { copyCheckpoint } from "../support/checkpoints.ts";
import { copyAdapter, loraFixture } from "../support/lora.ts";
import { randomBert } from "../support/random_bert.ts";
import { compute, smallBertFolder } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const { sequences, labels } = loraFixture;

function logitsOf(classifier: Classifier): readonly number[] {
  return compute(classifier, sequences, labels, null).logits;
}

/** LoRA and the head with values of their own. */
function adapt(classifier: Classifier, method = "lora"): void {
  applyMethod(classifier, method, method.includes("freeze") ? { freezeLayers: 2 } : {});
  using random = new Generator(6);
  for (const tensor of trainedParameters(classifier.model)) {
    noGrad(() => ops.add_(tensor, tensor, { alpha: 0.1 }).dispose());
    if (tensor.shape.includes(8)) noGrad(() => ops.normal_(tensor, 0, 0.1, { generator: random }).dispose());
  }
}

function contents(folder: string): Map<string, number[]> {
  using file = openSafetensors(`${folder}/adapter_model.safetensors`);
  return new Map([...file.tensors].map(([name, { byteLength }]) => {
    const bytes = new Uint8Array(byteLength);
    file.readInto(name, bytes);
    return [name, [...bytes]];
  }));
}

Deno.test("PEFT's adapter, loaded and saved, has PEFT's tensors to the bit, and the fields that PEFT was seen to read", async () => {
  using temporary = temporaryFolder();
  const [from, to] = ["from", "to"].map((name) => join(temporary.path, name));
  assert.ok(from && to);
  copyAdapter(from);
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(from);
    saveAdapter(classifier, to);
  });
  assert.deepEqual(contents(to), contents(from));
  const config = JSON.parse(Deno.readTextFileSync(`${to}/adapter_config.json`));
  assert.deepEqual(config, { ...loraFixture.config, base_model_name_or_path: smallBertFolder });
});

for (const pooling of ["cls", "mean"] as const) {
  for (const method of ["lora", "freeze+lora"]) {
    Deno.test(`what is saved loads again with the same logits, labels and pooling: ${method}, ${pooling}`, async () => {
      await assertNothingLeft(() => saveAndLoad(pooling, method));
    });
  }
}

async function saveAndLoad(pooling: Pooling, method: string): Promise<void> {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  const target = { labels: ["ham", "spam", "other"] };
  using classifier = await loadClassifier(smallBertFolder, { target, pooling });
  adapt(classifier, method);
  saveAdapter(classifier, folder, { "notes.txt": "text\n" });
  using again = await loadClassifier(folder);
  assert.deepEqual([again.target, again.model.pooling, again.newKeys], [target, pooling, []]);
  assert.deepEqual(logitsOf(again), logitsOf(classifier));
  const keys = ({ model }: Classifier): string[] =>
    [...namedParameters(model)].filter(([, tensor]) => tensor.requiresGrad).map(([key]) => key);
  assert.deepEqual(keys(again), keys(classifier));
  const second = join(temporary.path, "second");
  saveAdapter(again, second);
  assert.deepEqual(contents(second), contents(folder));
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const own = pooling === "mean" ? ["modeling_fewtune.py"] : [];
  assert.deepEqual(files, ["adapter_config.json", "adapter_model.safetensors", "config.json", ...own, "notes.txt"]);
  assert.deepEqual([...Deno.readDirSync(temporary.path)].map(({ name }) => name).sort(), ["adapter", "second"]);
}

Deno.test("targets that are not all of a name in the model are saved by their keys", async () => {
  using temporary = temporaryFolder();
  const modules = async (method: string, options: Parameters<typeof applyMethod>[2]): Promise<string[]> => {
    using classifier = await loadClassifier(smallBertFolder);
    applyMethod(classifier, method, options);
    const folder = join(temporary.path, crypto.randomUUID());
    saveAdapter(classifier, folder);
    return JSON.parse(Deno.readTextFileSync(`${folder}/adapter_config.json`)).target_modules;
  };
  assert.deepEqual(await modules("lora", { loraTargets: ["key"] }), ["key"]);
  const layer = "bert.encoder.layer.2";
  assert.deepEqual(await modules("freeze+lora", { freezeLayers: 2 }), [
    `${layer}.attention.self.query`,
    `${layer}.attention.self.value`,
  ]);
  const dense = await modules("freeze+lora", { freezeLayers: 2, loraTargets: ["dense"] });
  assert.deepEqual(dense, ["attention.output", "intermediate", "output"].map((name) => `${layer}.${name}.dense`));
});

Deno.test("an adapted model is not saved as an ordinary one, until it is merged", async () => {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "merged");
  using classifier = await loadClassifier(smallBertFolder);
  assert.throws(() => saveAdapter(classifier, folder), { name: "OptionError", message: /has no adapter/ });
  adapt(classifier);
  assert.throws(() => saveClassifier(classifier, folder), {
    name: "OptionError",
    message: /saveAdapter.*mergeAdapter/,
  });
  mergeAdapter(classifier);
  saveClassifier(classifier, folder);
  using again = await loadClassifier(folder);
  assert.deepEqual(logitsOf(again), logitsOf(classifier));
  using random = randomBert();
  applyMethod(random, "lora");
  assert.throws(() => saveAdapter(random, join(temporary.path, "new")), {
    name: "OptionError",
    message: /not loaded from a folder/,
  });
});

async function refused(
  change: (folder: string) => void,
  message: RegExp,
  options: LoadOptions = {},
): Promise<void> {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  copyAdapter(folder);
  change(folder);
  await assertNothingLeft(() => assert.rejects(loadClassifier(folder, options), { name: "CheckpointError", message }));
}

function setField(name: string, value: unknown): (folder: string) => void {
  return (folder) => {
    const path = `${folder}/adapter_config.json`;
    Deno.writeTextFileSync(path, JSON.stringify({ ...JSON.parse(Deno.readTextFileSync(path)), [name]: value }));
  };
}

/** Renames tensors of the adapter; null leaves one out. */
function rename(change: (name: string) => string | null): (folder: string) => void {
  return (folder) => {
    const at = (name: string): string => `${folder}/${name}.safetensors`;
    Deno.writeTextFileSync(`${folder}/config.json`, Deno.readTextFileSync(`${smallBertFolder}/config.json`));
    Deno.renameSync(at("adapter_model"), at("model"));
    copyCheckpoint(folder, `${folder}/changed`, { rename: change });
    Deno.renameSync(at("changed/model"), at("adapter_model"));
  };
}

const damages: readonly (readonly [string, (folder: string) => void, RegExp, LoadOptions?])[] = [
  [
    "a base that is not there",
    setField("base_model_name_or_path", "no/such/folder"),
    /adapter_config\.json: there is no folder no\/such\/folder, .*; let base_model_name_or_path be/,
  ],
  ["no base", setField("base_model_name_or_path", null), /base_model_name_or_path is null/],
  ["another method", setField("peft_type", "LOHA"), /peft_type is "LOHA", it has to be LORA or IA3/],
  ["DoRA without its lengths", setField("use_dora", true), /lacks .*lora_magnitude_vector/],
  ["ranks of their own", setField("rank_pattern", { query: 2 }), /rank_pattern is \{"query":2\}/],
  ["another rank", setField("r", 3), /is \[4,32\] and not \[3,32\]/],
  ["a rank that cannot be", setField("r", 0), /r is 0, it has to be a whole number/],
  ["no alpha", setField("lora_alpha", "much"), /lora_alpha is "much"/],
  ["no weights", (folder) => Deno.removeSync(`${folder}/adapter_model.safetensors`), /does not exist/],
  [
    "no B",
    rename((name) => name.includes("layer.1.attention.self.query.lora_B") ? null : name),
    /lacks .*layer\.1.*lora_B/,
  ],
  ["no LoRA", rename((name) => name.includes("lora") ? null : name), /lacks the weights of LORA/],
  ["an unknown layer", rename((name) => name.replace("layer.2", "layer.3")), /unexpected .*layer\.3/],
  ["no prefix", rename((name) => name.replace("base_model.model.", "")), /unexpected/],
  ["other labels", () => {}, /for other labels or another pooling/, { target: { labels: ["a", "b"] } }],
  ["another pooling", () => {}, /for other labels or another pooling/, { pooling: "mean" }],
];

for (const [name, change, message, options] of damages) {
  Deno.test(`refused, and nothing is left: ${name}`, () => refused(change, message, options));
}
