// What a method makes of a model: which parameters train, what stays to the bit, and what it costs.

import assert from "node:assert/strict";
import {
  applyMethod,
  type Classifier,
  memory,
  mergeLora,
  type MethodOptions,
  namedParameters,
  toNumbers,
  train,
  trainedParameters,
  type TrainEvent,
  type TrainOptions,
} from "../../mod.ts";
import { setTrained } from "../../src/nn/module.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const lengths = [9, 3, 17, 1, 6, 12];
const examples = labelledSequences(lengths);

function trainedKeys({ model }: Classifier): string[] {
  return [...namedParameters(model)].filter(([, tensor]) => tensor.requiresGrad).map(([key]) => key);
}

function weights({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

const head = /^mean_head\./;

interface Expectation {
  readonly method: string;
  readonly options: MethodOptions;
  /** Of the keys of the backbone, those that train. */
  readonly trained: RegExp;
}

const expectations: readonly Expectation[] = [
  { method: "full", options: {}, trained: /./ },
  { method: "selective", options: {}, trained: /./ },
  { method: "full", options: { freezeEmbeddings: true }, trained: /layer\./ },
  { method: "selective", options: { freezeEmbeddings: true }, trained: /layer\./ },
  { method: "full", options: { freezeEmbeddings: false }, trained: /./ },
  { method: "freeze", options: { freezeLayers: 0 }, trained: /layer\./ },
  { method: "freeze", options: { freezeLayers: 2, freezeEmbeddings: true }, trained: /layer\.2\./ },
  { method: "lora", options: { freezeEmbeddings: true }, trained: /(query|value)\.lora_[AB]/ },
  { method: "freeze", options: { freezeLayers: 2 }, trained: /layer\.2\./ },
  { method: "selective+freeze", options: { freezeLayers: 3 }, trained: /^$/ },
  { method: "lora", options: {}, trained: /(query|value)\.lora_[AB]/ },
  { method: "lora", options: { loraTargets: ["key"] }, trained: /key\.lora_[AB]/ },
  { method: "lora", options: { loraTargets: ["output.dense"] }, trained: /output\.dense\.lora_[AB]/ },
  { method: "selective+freeze+lora", options: { freezeLayers: 1 }, trained: /layer\.[12].*(query|value)\.lora_[AB]/ },
];

for (const { method, options, trained } of expectations) {
  Deno.test(`${method} ${JSON.stringify(options)}: what trains changes, all else stays to the bit, without gradient or state`, async () => {
    await assertNothingLeft(async () => {
      using classifier = randomBert({ dropout: 0.1 });
      applyMethod(classifier, method, options);
      const isTrained = (key: string): boolean => head.test(key) || trained.test(key);
      const expected = [...namedParameters(classifier.model).keys()].filter(isTrained);
      assert.deepEqual(trainedKeys(classifier), expected);
      const [before, bytes] = [weights(classifier), memory().liveBytes];
      let liveBytes = 0;
      const k = method.startsWith("selective") ? 4 : "all";
      const result = await train(classifier, { train: examples }, {
        ...{ k, batchSize: 3, maxSteps: 3, learningRate: 1e-2, warmupRatio: 0 },
        onEvent: (event) => event.type === "step" && (liveBytes = event.liveBytes),
      });
      for (const [key, numbers] of weights(classifier)) {
        if (isTrained(key)) assert.notDeepEqual(numbers, before.get(key), key);
        else assert.deepEqual(numbers, before.get(key), key);
      }
      const tensors = trainedParameters(classifier.model);
      const count = tensors.reduce((sum, { size }) => sum + size, 0);
      assert.equal(result.trainableParameters, count);
      // AdamW keeps two numbers for each trained one, and a count of steps for each tensor.
      assert.equal(liveBytes - bytes, 2 * 4 * count + 4 * tensors.length);
      for (const parameter of namedParameters(classifier.model).values()) assert.equal(parameter.grad, null);
    });
  });
}

Deno.test("LoRA goes into the layers above the frozen ones alone, with B zero: the model computes what it did", () => {
  using classifier = randomBert();
  applyMethod(classifier, "freeze+lora", { freezeLayers: 2, loraRank: 3, seed: 5 });
  const inserted = [...namedParameters(classifier.model)].filter(([key]) => key.includes("lora"));
  const prefix = "bert.encoder.layer.2.attention.self.";
  assert.deepEqual(inserted.map(([key, { shape }]) => [key, shape]), [
    [`${prefix}query.lora_A.weight`, [3, 32]],
    [`${prefix}query.lora_B.weight`, [32, 3]],
    [`${prefix}value.lora_A.weight`, [3, 32]],
    [`${prefix}value.lora_B.weight`, [32, 3]],
  ]);
  for (const [key, parameter] of inserted) {
    const numbers = toNumbers(parameter);
    const [most, spread] = [Math.max(...numbers.map(Math.abs)), Math.sqrt(32)];
    if (key.includes("lora_B")) assert.equal(most, 0);
    else assert.ok(most <= 1 / spread && most > 0.8 / spread, `${most}`);
  }
});

Deno.test("the seed decides A; a method can be replaced by another, LoRA after it is merged", () => {
  const values = (seed: number): number[] => {
    using classifier = randomBert();
    applyMethod(classifier, "lora", { seed });
    return [...weights(classifier)].filter(([key]) => key.includes("lora_A")).flatMap(([, numbers]) => numbers);
  };
  assert.deepEqual(values(1), values(1));
  assert.notDeepEqual(values(1), values(2));
  using classifier = randomBert();
  const keys = trainedKeys(classifier);
  applyMethod(classifier, "freeze", { freezeLayers: 1 });
  applyMethod(classifier, "lora");
  assert.throws(() => applyMethod(classifier, "full"), { name: "OptionError", message: /has LoRA adapters already/ });
  mergeLora(classifier);
  applyMethod(classifier, "full");
  assert.deepEqual(trainedKeys(classifier), keys);
});

for (const options of [{}, { activations: "recompute" }, { optimizerInBackward: true }] as const) {
  Deno.test(`frozen and adapted layers train the same in every mode: ${JSON.stringify(options)}`, async () => {
    const trained = async (more: TrainOptions): Promise<Map<string, number[]>> => {
      using classifier = randomBert({ dropout: 0.1 });
      applyMethod(classifier, "freeze+lora", { freezeLayers: 1 });
      await train(classifier, { train: examples }, { k: 4, batchSize: 3, maxSteps: 4, learningRate: 1e-2, ...more });
      return weights(classifier);
    };
    assert.deepEqual(await trained(options), await trained({}));
  });
}

const refusals: readonly (readonly [string, MethodOptions, RegExp])[] = [
  ["freeze", {}, /freeze has to be told how many .*freezeLayers/],
  ["freeze", { freezeLayers: -1 }, /^freezeLayers is -1, it has to be a whole number of at least 0$/],
  ["freeze", { freezeLayers: 1.5 }, /^freezeLayers is 1\.5, /],
  ["freeze", { freezeLayers: 4 }, /the number of frozen layers is 4, this model has 3/],
  ["freeze+lora", { freezeLayers: 3 }, /LoRA has no layer to go into/],
  ["full", { freezeLayers: 1 }, /the number of frozen layers is 1, but the method full has none: that is for freeze/],
  ["selective", { loraRank: 4 }, /the LoRA rank is 4, but the method selective has none: that is for lora/],
  ["freeze", { freezeLayers: 1, loraTargets: ["key"] }, /LoRA's targets is key, but the method freeze/],
  ["lora", { loraRank: 0 }, /^loraRank is 0, it has to be a whole number of at least 1$/],
  ["lora", { loraRank: 2.5 }, /^loraRank is 2\.5, /],
  ["lora", { loraAlpha: 0 }, /^loraAlpha is 0, it has to be a number above 0$/],
  ["lora", { loraAlpha: NaN }, /^loraAlpha is NaN, /],
  ["lora", { loraTargets: [] }, /^loraTargets is \[\], it has to be a list of names, separated by commas$/],
  [
    "lora",
    { loraTargets: ["query", "q_proj"] },
    /target "q_proj" is no linear map of a layer, there are: attention\.self/,
  ],
  ["lora", { loraTargets: ["uery"] }, /target "uery" is no linear map/],
];

for (const [method, options, message] of refusals) {
  Deno.test(`refused: ${method} ${JSON.stringify(options)}`, async () => {
    await assertNothingLeft(() => {
      using classifier = randomBert();
      assert.throws(() => applyMethod(classifier, method, options), { name: "OptionError", message });
    });
  });
}

Deno.test("a model of which nothing trains is refused", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomBert();
    setTrained(classifier.model, false);
    const onEvent = (_: TrainEvent): void => assert.fail("a step was made");
    await assert.rejects(train(classifier, { train: examples }, { onEvent }), {
      name: "OptionError",
      message: /no parameter of the model requires a gradient/,
    });
  });
});
