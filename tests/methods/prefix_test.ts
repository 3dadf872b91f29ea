// Prefixes and prompts: their gradients in every way to compute them, their first values, positions and files.
//
// That they compute what PEFT's do is in peft_test.ts.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  accumulateGradients,
  applyMethod,
  type Classifier,
  forward,
  Generator,
  loadClassifier,
  lossOf,
  mergeAdapter,
  type MethodOptions,
  namedParameters,
  noGrad,
  ops,
  type Precision,
  saveAdapter,
  scope,
  selectPositions,
  toNumbers,
} from "../../mod.ts";
import { longestText } from "../../src/models/preceding.ts";
import { attentionScores, gradientScores } from "../../src/selective/position_scores.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { distance, norm } from "../support/numbers.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { postNorm, randomOpt } from "../support/random_opt.ts";
import { compute, pack, smallBertFolder, takeGradients } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const lengths = [9, 3, 17, 1, 6, 12];
const labels = [0, 1, 0, 1, 0, 1];
const sequences = randomSequences(lengths);

/** The gradients of a step's walk through the layers. */
function walked(
  classifier: Classifier,
  selected: readonly (readonly number[])[],
  precision: Precision = "float32",
): Map<string, number[]> {
  return scope(() => {
    const batch = pack(classifier, sequences, selected, { rowsPerBlock: 20 });
    accumulateGradients(classifier.model, batch, (logits) => lossOf(logits, labels, classifier.target), {
      random: null,
      precision,
    });
    return takeGradients(classifier);
  });
}

function assertSame(
  classifier: Classifier,
  found: ReadonlyMap<string, readonly number[]>,
  expected: ReadonlyMap<string, readonly number[]>,
  tolerance: number,
): void {
  for (const key of classifier.trained.keys()) {
    const [numbers, reference] = [found.get(key) ?? [], expected.get(key) ?? []];
    assert.ok(norm(reference) > 1e-6, key);
    const off = distance(numbers, reference);
    assert.ok(off <= tolerance * norm(reference), `${key}: ${off} off of ${norm(reference)}`);
  }
}

const models: Readonly<Record<string, () => Classifier>> = {
  "BERT, the head on the mean": () => randomBert({ dtype: "float64" }),
  "BERT, the standard head": () => randomBert({ dtype: "float64", pooling: "cls" }),
  "OPT": () => randomOpt({ dtype: "float64" }),
  "OPT whose layers end with a norm": () => randomOpt({ dtype: "float64", pooling: "mean", fields: postNorm }),
};

const methods: readonly (readonly [string, MethodOptions])[] = [
  ["prefix", { prefixLength: 4 }],
  ["prompt", { promptLength: 3 }],
  ["freeze+prefix", { prefixLength: 4, freezeLayers: 1 }],
  ["prefix+prompt", { prefixLength: 2, promptLength: 3 }],
];

for (const [name, create] of Object.entries(models)) {
  Deno.test(`the walk, one graph, and masked mode give the same gradients: ${name}`, async () => {
    await assertNothingLeft(() => {
      for (const [method, options] of methods) {
        using classifier = create();
        applyMethod(classifier, method, options);
        // Masked mode hangs its hooks on every layer's states, so gradients have to reach the embeddings.
        const { embeddings } = classifier.model.backbone;
        const [lowest] = namedParameters(embeddings).values();
        if (!method.includes("prompt") && lowest) ops.requiresGrad_(lowest).dispose();
        using random = new Generator(4);
        const selected = selectPositions(lengths, 4, random, classifier.model.pooling);
        const split = compute(classifier, sequences, labels, selected, { rowsPerBlock: 20 });
        const masked = compute(classifier, sequences, labels, selected, { mode: "masked" });
        assertSame(classifier, split.gradients, masked.gradients, 1e-10);
        assertSame(classifier, walked(classifier, selected), split.gradients, 1e-10);
        const all = lengths.map((length) => [...Array(length).keys()]);
        assertSame(classifier, walked(classifier, all), compute(classifier, sequences, labels, null).gradients, 1e-10);
      }
    });
  });
}

const damages: readonly (readonly [string, Readonly<Record<string, unknown>>, string, RegExp])[] = [
  ["prefix", { num_virtual_tokens: 4 }, "prefix", /prompt_embeddings is \[5,192\] and not \[4,192\]/],
  ["prefix", { num_virtual_tokens: 1e9 }, "prefix", /and not \[1000000000,192\]/],
  ["prefix", { num_virtual_tokens: 0 }, "prefix", /num_virtual_tokens is 0, it has to be a whole number above 0/],
  ["prefix", { num_transformer_submodules: 2 }, "prefix", /num_transformer_submodules is 2/],
  ["prompt", {}, "prefix", /prompt_embeddings is \[5,192\] and not \[5,32\]/],
  ["prompt", {}, "lora_all", /unexpected|lacks prompt_embeddings/],
];

for (const [name, fields, weights, message] of damages) {
  Deno.test(`refused, and nothing is left: ${name} ${JSON.stringify(fields)}, the weights of ${weights}`, async () => {
    await assertNothingLeft(async () => {
      using temporary = temporaryFolder();
      const fixtures = new URL("../fixtures/peft/", import.meta.url).pathname;
      const config = JSON.parse(Deno.readTextFileSync(`${fixtures}${name}/adapter_config.json`));
      const changed = { ...config, base_model_name_or_path: smallBertFolder, ...fields };
      Deno.writeTextFileSync(join(temporary.path, "adapter_config.json"), JSON.stringify(changed));
      const file = "adapter_model.safetensors";
      Deno.copyFileSync(`${fixtures}${weights}/${file}`, join(temporary.path, file));
      await assert.rejects(loadClassifier(temporary.path), { name: "CheckpointError", message });
    });
  });
}

Deno.test("in bfloat16 their gradients are near those in float32", async () => {
  await assertNothingLeft(() => {
    using classifier = randomBert();
    applyMethod(classifier, "prefix+prompt", { prefixLength: 4, promptLength: 3 });
    using random = new Generator(4);
    const selected = selectPositions(lengths, 4, random);
    assertSame(classifier, walked(classifier, selected, "bf16"), walked(classifier, selected), 0.1);
  });
});

Deno.test("a sequence's logits do not depend on its neighbours, and all positions are the text's after what precedes it", () => {
  using classifier = randomBert({ dtype: "float64" });
  const { backbone } = classifier.model;
  assert.equal(longestText(backbone), 256);
  applyMethod(classifier, "prefix+prompt", { prefixLength: 4, promptLength: 3 });
  assert.equal(longestText(backbone), 249);
  const together = compute(classifier, sequences, labels, null).logits;
  const alone = sequences.map((sequence) => compute(classifier, [sequence], [0], null).logits);
  assertClose(together, alone.flat(), 1e-12);
  const [longest] = randomSequences([249]);
  assert.ok(longest);
  scope(() => noGrad(() => forward(classifier.model, pack(classifier, [longest], null), null)));
});

Deno.test("a prompt of words is those words before the text: logits, and the scores of positions", async () => {
  await assertNothingLeft(() => {
    using classifier = randomBert({ dtype: "float64" });
    using plain = randomBert({ dtype: "float64" });
    applyMethod(classifier, "prompt", { promptLength: 3 });
    const { weight, virtual } = classifier.model.backbone.words;
    noGrad(() => scope(() => virtual && void ops.copy_(virtual, ops.narrow(weight, 0, 5, 3))));
    const longer = sequences.map(({ inputIds, tokenTypeIds }) => ({
      inputIds: [5, 6, 7, ...Array.from(inputIds)],
      tokenTypeIds: [0, 0, 0, ...Array.from(tokenTypeIds)],
    }));
    const scoresOf = ({ model, target }: Classifier, of: typeof sequences, from: number): number[] =>
      [
        attentionScores(model, of),
        gradientScores(model, of, (logits) => lossOf(logits, labels, target)),
      ].flat().flatMap((scores) => scores.slice(from));
    assertClose(
      compute(classifier, sequences, labels, null).logits,
      compute(plain, longer, labels, null).logits,
      1e-12,
    );
    assertClose(scoresOf(classifier, sequences, 0), scoresOf(plain, longer, 3), 1e-12);
  });
});

Deno.test("the attention that positions get is less where they share it with a prefix", () => {
  for (const create of [randomBert, randomOpt]) {
    using classifier = create({ dtype: "float64" });
    applyMethod(classifier, "prefix", { prefixLength: 4 });
    const totals = attentionScores(classifier.model, sequences).map((each) =>
      each.reduce((sum, each) => sum + each, 0)
    );
    // Of every query in two layers it is 1 altogether.
    totals.forEach((total, index) => assert.ok(total < 2 * (lengths[index] ?? 0) - 1e-3 && total > 0));
  }
});

Deno.test("first values: normal, uniform up to 1 / sqrt(inFeatures), or words of the vocabulary; the seed decides", () => {
  const valuesOf = (method: string, options: MethodOptions): Map<string, number[]> => {
    using classifier = randomBert();
    applyMethod(classifier, method, options);
    return new Map([...classifier.trained].map(([key, tensor]) => [key, toNumbers(tensor)]));
  };
  const deviation = (values: readonly number[]): number => norm(values) / Math.sqrt(values.length);
  for (const [method, options] of [["prefix", { prefixLength: 100 }], ["prompt", { promptLength: 100 }]] as const) {
    const values = valuesOf(method, options);
    for (const [key, numbers] of values) {
      if (/prefix|virtual/.test(key)) assert.ok(Math.abs(deviation(numbers) - 1) < 0.06, key);
    }
    assert.deepEqual(valuesOf(method, { ...options, seed: 0 }), values);
    assert.notDeepEqual(valuesOf(method, { ...options, seed: 1 }), values);
  }
  const computed = valuesOf("prefix", { prefixProjection: true, prefixHiddenSize: 64 });
  assert.deepEqual([...computed.keys()].filter((key) => !key.startsWith("mean_head")), [
    "prefix_encoder.embedding.weight",
    "prefix_encoder.transform.0.weight",
    "prefix_encoder.transform.0.bias",
    "prefix_encoder.transform.2.weight",
    "prefix_encoder.transform.2.bias",
  ]);
  for (const [layer, inFeatures] of [[0, 32], [2, 64]] as const) {
    const most = Math.max(...(computed.get(`prefix_encoder.transform.${layer}.weight`) ?? []).map(Math.abs));
    assert.ok(most <= inFeatures ** -0.5 && most > 0.98 * inFeatures ** -0.5, `${most}`);
  }
  using classifier = randomBert();
  applyMethod(classifier, "prompt", { promptLength: 40, promptInit: "vocabulary" });
  const { weight, virtual } = classifier.model.backbone.words;
  assert.ok(virtual);
  const rowsIn = (numbers: readonly number[]): string[] =>
    Array.from({ length: numbers.length / 32 }, (_, row) => numbers.slice(32 * row, 32 * (row + 1)).join());
  const words = rowsIn(toNumbers(weight));
  const places = rowsIn(toNumbers(virtual)).map((row) => words.indexOf(row));
  assert.ok(Math.min(...places) >= 0 && new Set(places).size > 10);
});

const saved: readonly (readonly [string, MethodOptions, string])[] = [
  ["prefix", { prefixLength: 3 }, "adapter_model"],
  ["prefix", { prefixLength: 3, prefixProjection: true, prefixHiddenSize: 7 }, "adapter_model"],
  ["selective+prompt", { promptLength: 3, promptInit: "vocabulary" }, "adapter_model"],
  ["freeze+prefix", { prefixLength: 3, freezeLayers: 2 }, "fewtune_adapter"],
  ["freeze+prefix", { prefixLength: 3, prefixProjection: true, freezeLayers: 1 }, "fewtune_adapter"],
  ["lora+prefix+prompt", { promptLength: 3 }, "fewtune_adapter"],
];

for (const [method, options, file] of saved) {
  Deno.test(`what is saved loads again with the same logits: ${method} ${JSON.stringify(options)}`, async () => {
    await assertNothingLeft(async () => {
      using temporary = temporaryFolder();
      const folder = join(temporary.path, "adapter");
      using classifier = await loadClassifier(smallBertFolder, { pooling: "cls" });
      applyMethod(classifier, method, options);
      using random = new Generator(8);
      for (const tensor of classifier.trained.values()) {
        noGrad(() => ops.normal_(tensor, 0, 0.3, { generator: random }).dispose());
      }
      const logits = (of: Classifier): readonly number[] => compute(of, sequences, labels, null).logits;
      const expected = logits(classifier);
      saveAdapter(classifier, folder);
      assert.throws(() => mergeAdapter(classifier), { name: "OptionError", message: /cannot be merged/ });
      using again = await loadClassifier(folder);
      assert.deepEqual(logits(again), expected);
      assert.deepEqual([...again.trained.keys()].sort(), [...classifier.trained.keys()].sort());
      assert.ok(Deno.statSync(`${folder}/${file}.safetensors`).isFile);
    });
  });
}
