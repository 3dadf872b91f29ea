// The pretrained MiniLM against transformers: token ids equal, logits within 1e-5.

import assert from "node:assert/strict";
import {
  type Classifier,
  loadClassifier,
  loadTokenizer,
  namedParameters,
  noGrad,
  ops,
  predictLogits,
  scope,
  tensorFrom,
} from "../../mod.ts";
import { minilmFolder } from "../../src/experiments/minilm.ts";
import { cacheFolder } from "../../src/native/cache.ts";
import { readFixture } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Record {
  readonly texts: readonly [string, string?];
  readonly inputIds: readonly number[];
  readonly tokenTypeIds: readonly number[];
  readonly logits: readonly number[];
}

interface Fixture {
  readonly maxLength: number;
  readonly records: readonly Record[];
}

const { maxLength, records } = readFixture<Fixture>("minilm.json");
const folder = await minilmFolder(cacheFolder("models"));

// weight[i][j] = 0.5 sin(1 + i hiddenSize + j), bias = [0.1, -0.1], as in the reference.
function setHead({ model }: Classifier): void {
  const parameters = namedParameters(model);
  const values = { "classifier.weight": sines(2 * model.backbone.hiddenSize), "classifier.bias": [0.1, -0.1] };
  noGrad(() =>
    scope(() => {
      for (const [key, numbers] of Object.entries(values)) {
        const parameter = parameters.get(key);
        assert.ok(parameter);
        ops.copy_(parameter, tensorFrom(numbers, { shape: parameter.shape }));
      }
    })
  );
}

function sines(count: number): number[] {
  return Array.from({ length: count }, (_, index) => 0.5 * Math.sin(1 + index));
}

Deno.test("MiniLM's logits are transformers', one text at a time and all together", async () => {
  await assertNothingLeft(async () => {
    const tokenizer = await loadTokenizer(folder);
    const encoded = records.map(({ texts: [text, pair] }) => tokenizer.encode(text, pair, maxLength));
    encoded.forEach(({ inputIds, tokenTypeIds }, index) => {
      assert.deepEqual([...inputIds], records[index]?.inputIds);
      assert.deepEqual([...tokenTypeIds], records[index]?.tokenTypeIds);
    });
    using classifier = await loadClassifier(folder, { target: { labels: ["no", "yes"] }, pooling: "cls" });
    assert.deepEqual(classifier.newKeys, ["classifier.weight", "classifier.bias"]);
    setHead(classifier);
    const expected = records.flatMap(({ logits }) => [...logits]);
    for (const batchSize of [1, 12]) {
      const logits = await predictLogits(classifier, encoded, { batchSize });
      assertClose(logits.flat(), expected, 1e-5);
    }
  });
});
