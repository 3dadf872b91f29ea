// What a method makes of a model: which parameters train, what stays to the bit, and what it costs.

import assert from "node:assert/strict";
import {
  applyMethod,
  type Classifier,
  memory,
  mergeAdapter,
  type MethodOptions,
  namedParameters,
  toNumbers,
  train,
  type TrainEvent,
  type TrainOptions,
} from "../../mod.ts";
import { setTrained } from "../../src/nn/module.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { compute } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

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
  { method: "lora", options: { useDora: true }, trained: /(query|value)\.lora_([AB]|magnitude_vector)/ },
  { method: "lora", options: { useRslora: true, loraDropout: 0.2 }, trained: /(query|value)\.lora_[AB]/ },
  {
    method: "lora",
    options: { loraTargets: ["query", "key", "value", "attentionOutput", "intermediate", "output"] },
    trained: /lora_[AB]/,
  },
  { method: "bitfit", options: {}, trained: /\.bias$/ },
  { method: "freeze+bitfit", options: { freezeLayers: 1 }, trained: /layer\.[12]\..*\.bias$/ },
  {
    method: "selective+bitfit",
    options: { bitfitBiases: "query-intermediate" },
    trained: /(query|intermediate\.dense)\.bias$/,
  },
  { method: "ia3", options: {}, trained: /(key|value|\d\.output\.dense)\.ia3_l$/ },
  { method: "selective+freeze+ia3", options: { freezeLayers: 2, ia3Targets: ["output"] }, trained: /ia3_l$/ },
  { method: "prefix", options: { prefixLength: 3 }, trained: /\d\.prefix\.(key|value)$/ },
  { method: "selective+freeze+prefix", options: { freezeLayers: 1 }, trained: /[12]\.prefix\.(key|value)$/ },
  { method: "prompt", options: { promptLength: 3 }, trained: /word_embeddings\.virtual$/ },
  { method: "selective+lora+prefix+prompt", options: { promptInit: "vocabulary" }, trained: /lora|prefix|virtual/ },
  { method: "lora+bitfit+ia3", options: {}, trained: /\.bias$|lora_[AB]|ia3_l$/ },
  { method: "selective+freeze+lora", options: { freezeLayers: 1 }, trained: /layer\.[12].*(query|value)\.lora_[AB]/ },
  { method: "adapters", options: { adapterSize: 6 }, trained: /_end\.adapter\.|layer\.\d.*LayerNorm/ },
  {
    method: "selective+adapters",
    options: { adapterSize: 6, adapterDrop: 1 },
    trained: /_end\.adapter\.|layer\.[12].*LayerNorm/,
  },
  {
    method: "freeze+adapters",
    options: { freezeLayers: 2, adapterSize: 32, adapterPlacement: "pfeiffer", adapterActivation: "relu" },
    trained: /layer\.2\.output_end\.adapter\./,
  },
  {
    method: "lora+bitfit+adapters",
    options: { adapterSize: 6, adapterPlacement: "pfeiffer", adapterDrop: 2 },
    trained: /\.bias$|lora_[AB]|layer\.2\.output_end\.adapter\./,
  },
  {
    method: "freeze+compacter",
    options: { freezeLayers: 1 },
    trained: /layer\.[12].*(_end\.adapter\.(down|up)\.(s|t|bias)|LayerNorm)/,
  },
  {
    method: "selective+compacter+ia3",
    options: { compacterSize: 8, compacterN: 2, compacterRank: 3 },
    trained: /_end\.adapter\.|layer\.\d.*LayerNorm|ia3_l$/,
  },
  { method: "lst", options: {}, trained: /^bert\.side_network\./ },
  { method: "selective+lst", options: { lstReduction: 2, lstLayers: 2 }, trained: /^bert\.side_network\./ },
  { method: "side", options: {}, trained: /^bert\.side_network\.(layer\.0|gate\.alpha)/ },
  { method: "selective+side", options: { sideLayers: 3 }, trained: /^bert\.side_network\./ },
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
      const tensors = [...classifier.trained.values()];
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
  applyMethod(classifier, "freeze+lora", { freezeLayers: 2, loraR: 3, seed: 5 });
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
  assert.throws(() => applyMethod(classifier, "full"), { name: "OptionError", message: /has lora already/ });
  mergeAdapter(classifier);
  applyMethod(classifier, "full");
  assert.deepEqual(trainedKeys(classifier), keys);
});

const everyLinear = ["query", "key", "value", "attentionOutput", "intermediate", "output"];

const modes: readonly TrainOptions[] = [
  { activations: "store", optimizerInBackward: true },
  { activations: "recompute" },
  { activations: "recompute", optimizerInBackward: true },
];

// More rows than one block of the rest holds.
const longExamples = labelledSequences([200, 3, 190, 180, 12]);

const methodsInModes: readonly (readonly [string, MethodOptions])[] = [
  ["freeze+lora", { freezeLayers: 1 }],
  ["lora", { loraTargets: everyLinear, loraDropout: 0.3 }],
  ["lora", { loraTargets: everyLinear, loraDropout: 0.3, useDora: true }],
  ["bitfit", {}],
  ["freeze+lora+bitfit+ia3", { freezeLayers: 1, loraDropout: 0.3 }],
  ["adapters", { adapterSize: 6, adapterDrop: 1 }],
  ["lora+adapters", { adapterSize: 6, adapterPlacement: "pfeiffer", loraDropout: 0.3 }],
  ["compacter", { compacterSize: 8, compacterRank: 2 }],
  ["freeze+prefix", { freezeLayers: 1, prefixLength: 4 }],
  ["lora+prefix+prompt", { loraDropout: 0.3, prefixLength: 4, promptLength: 3 }],
];

for (const [method, options] of methodsInModes) {
  Deno.test(`trains the same to the bit in every mode: ${method} ${JSON.stringify(options)}`, async () => {
    const trained = async (more: TrainOptions): Promise<Map<string, number[]>> => {
      using classifier = randomBert({ dropout: 0.1 });
      applyMethod(classifier, method, options);
      await train(classifier, { train: longExamples }, {
        k: 4,
        batchSize: 5,
        maxSteps: 3,
        learningRate: 1e-2,
        ...more,
      });
      const values = [...classifier.trained].map(([key, tensor]) => [key, toNumbers(tensor)] as const);
      return new Map([...weights(classifier), ...values]);
    };
    const expected = await trained({ activations: "store" });
    for (const mode of modes) assert.deepEqual(await trained(mode), expected, JSON.stringify(mode));
  });
}

Deno.test("LoRA's dropout changes what is learnt, and DoRA's output does not change at its start", async () => {
  const trained = async (loraDropout: number): Promise<Map<string, number[]>> => {
    using classifier = randomBert();
    applyMethod(classifier, "lora", { loraDropout });
    await train(classifier, { train: examples }, { k: 4, batchSize: 6, maxSteps: 2, learningRate: 1e-2 });
    return weights(classifier);
  };
  assert.notDeepEqual(await trained(0.3), await trained(0));
  using classifier = randomBert({ dtype: "float64" });
  const logits = (): readonly number[] => compute(classifier, examples, [0, 1, 0, 1, 0, 1], null).logits;
  const before = logits();
  applyMethod(classifier, "lora", { useDora: true, loraTargets: everyLinear });
  assertClose(logits(), before, 1e-12);
});

const refusals: readonly (readonly [string, MethodOptions, RegExp])[] = [
  ["freeze", {}, /freeze has to be told how many .*freezeLayers/],
  ["freeze", { freezeLayers: -1 }, /^freezeLayers is -1, it has to be a whole number of at least 0$/],
  ["freeze", { freezeLayers: 1.5 }, /^freezeLayers is 1\.5, /],
  ["freeze", { freezeLayers: 4 }, /the number of frozen layers is 4, this model has 3/],
  ["freeze+lora", { freezeLayers: 3 }, /LoRA has no layer to go into/],
  ["full", { freezeLayers: 1 }, /freezeLayers is 1, but the method full has none: that is for freeze/],
  ["selective", { loraR: 4 }, /loraR is 4, but the method selective has none: that is for lora/],
  ["freeze", { freezeLayers: 1, loraTargets: ["key"] }, /loraTargets is key, but the method freeze/],
  ["lora", { loraR: 33 }, /loraR is 33, but a linear map is 32 to 32 wide: r can be at most 32/],
  ["lora", { loraDropout: 1 }, /^loraDropout is 1, it has to be a number of at least 0 and below 1$/],
  ["freeze+ia3", { freezeLayers: 3 }, /has no layer to go into/],
  ["freeze+bitfit", { freezeLayers: 3 }, /no bias to train/],
  ["bitfit", { bitfitBiases: "some" as "all" }, /^bitfitBiases is "some", it has to be all or query-intermediate$/],
  ["ia3", { ia3Targets: ["out"] }, /ia3Targets has "out", which is no linear map of a layer: there are query, /],
  ["freeze+prefix", { freezeLayers: 3 }, /prefix has no layer to go into/],
  ["prefix", { prefixLength: 256 }, /prefixLength is 256, .* can have 256 tokens, .* it can be at most 255$/],
  ["prefix", { prefixHiddenSize: 8 }, /prefixHiddenSize is 8, but no network .* that is for prefixProjection/],
  ["prefix+prompt", { prefixLength: 200, promptLength: 56 }, /promptLength is 56, .* it can be at most 55$/],
  ["prompt", { promptLength: 0 }, /^promptLength is 0, it has to be a whole number of at least 1$/],
  ["prompt", { promptInit: "text" as "random" }, /^promptInit is "text", it has to be random or vocabulary$/],
  ["freeze+prompt", { freezeLayers: 1 }, /below the frozen ones, .*: leave freeze out/],
  ["bitfit", { loraR: 4 }, /loraR is 4, but the method bitfit has none: that is for lora/],
  ["lora", { loraR: 0 }, /^loraR is 0, it has to be a whole number of at least 1$/],
  ["lora", { loraR: 2.5 }, /^loraR is 2\.5, /],
  ["lora", { loraAlpha: 0 }, /^loraAlpha is 0, it has to be a number above 0$/],
  ["lora", { loraAlpha: NaN }, /^loraAlpha is NaN, /],
  ["lora", { loraTargets: [] }, /^loraTargets is \[\], it has to be a list of names, separated by commas$/],
  [
    "lora",
    { loraTargets: ["query", "q_proj"] },
    /loraTargets has "q_proj", which is no linear map of a layer: there are query, .*attention\.self/,
  ],
  ["lora", { loraTargets: ["uery"] }, /loraTargets has "uery"/],
  ["adapters", {}, /^adapterSize is 64, but the hidden states are 32 wide: it can be at most that$/],
  ["adapters", { adapterSize: 0 }, /^adapterSize is 0, it has to be a whole number of at least 1$/],
  ["adapters", { adapterSize: 33 }, /^adapterSize is 33, /],
  [
    "adapters",
    { adapterSize: 8, adapterDrop: 3 },
    /^adapterDrop is 3, but this model has 3 layers, of which at least one/,
  ],
  ["adapters", { adapterDrop: -1 }, /^adapterDrop is -1, /],
  ["adapters", { adapterPlacement: "both" as "houlsby" }, /^adapterPlacement is "both", .* houlsby or pfeiffer$/],
  ["adapters", { adapterActivation: "tanh" as "relu" }, /^adapterActivation is "tanh", it has to be gelu or relu$/],
  [
    "freeze+adapters",
    { freezeLayers: 3, adapterSize: 8 },
    /^there is no layer for a bottleneck to go into: every layer is/,
  ],
  ["bitfit", { adapterSize: 8 }, /^adapterSize is 8, but the method bitfit has none: that is for adapters$/],
  ["adapters+compacter", {}, /compacter cannot be together with adapters: both go where the halves of a layer end/],
  ["compacter", { compacterSize: 40 }, /^compacterSize is 40, but the hidden states are 32 wide/],
  ["compacter", { compacterN: 5 }, /^compacterN is 5, which does not divide compacterSize, 24: it has to$/],
  [
    "compacter",
    { compacterN: 12 },
    /^compacterN is 12, which does not divide the hidden states' width, 32: it has to$/,
  ],
  ["compacter", { compacterRank: 0 }, /^compacterRank is 0, it has to be a whole number of at least 1$/],
  ["freeze+compacter", { freezeLayers: 3 }, /^there is no layer for a bottleneck to go into/],
  ["lst", { lstReduction: 3 }, /lstReduction is 3, but each of the 4 heads is 8 wide .* 64: it can be 1, 2, 4, 8$/],
  ["lst", { lstReduction: 0 }, /^lstReduction is 0, it has to be a whole number of at least 1$/],
  ["lst", { lstLayers: 4 }, /lstLayers is 4, but this model has 3 layers: it can be at most 3/],
  ["lst", { lstInit: "fisher" as "random" }, /^lstInit is "fisher", it has to be pruning or random$/],
  ["side", { sideLayers: 4 }, /sideLayers is 4, but this model has 3 layers: it can be at most 3/],
  ["lst", { sideLayers: 1 }, /sideLayers is 1, but the method lst has none: that is for side/],
  ["freeze+lst", { freezeLayers: 1 }, /lst cannot be together with freeze: it trains beside a frozen backbone/],
  ["lora+side", {}, /side cannot be together with lora: it trains beside/],
  ["lst+side", {}, /lst cannot be together with side: it trains beside/],
  ["full+lst", {}, /full cannot be together with lst/],
  ["freeze+mask", { freezeLayers: 3 }, /there is no layer to mask/],
  ["mask", { maskTargets: ["pooler"] }, /maskTargets has "pooler", which is no linear map of a layer/],
  ["mask", { maskSparsity: 0 }, /^maskSparsity is 0, it has to be a number above 0 and below 1$/],
  ["mask", { maskSparsity: 1 }, /^maskSparsity is 1, /],
  ["mask", { maskWidth: 0 }, /^maskWidth is 0, it has to be a number above 0$/],
  ["freeze+diff", { freezeLayers: 3 }, /diff pruning has no layer to change/],
  ["diff", { diffSparsity: 0 }, /^diffSparsity is 0, it has to be a number above 0 and below 1$/],
  ["diff", { diffSparsity: 1 }, /^diffSparsity is 1, /],
  ["diff", { diffSparsity: 1.5 }, /^diffSparsity is 1\.5, /],
  ["diff", { diffPenalty: -1 }, /^diffPenalty is -1, it has to be a number of at least 0$/],
  ["diff", { diffFixedShare: 1 }, /^diffFixedShare is 1, /],
  ["diff", { diffGateRate: 0 }, /^diffGateRate is 0, /],
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
