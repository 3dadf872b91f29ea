// Dropout in selective fine-tuning: two generators, whose states repeat a step to the bit.

import assert from "node:assert/strict";
import {
  backward,
  type Classifier,
  type DropoutRandom,
  forward,
  Generator,
  item,
  lossOf,
  noGrad,
  ops,
  scope,
} from "../../mod.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { pack, takeGradients } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const batch = randomSequences([9, 4, 13]);
const selected = [[0, 3, 8], [0, 1, 2, 3], [0, 5, 6, 12]];

function step(classifier: Classifier, random: DropoutRandom | null, positions: number[][] | null = selected): unknown {
  return scope(() => {
    const loss = lossOf(
      forward(classifier.model, pack(classifier, batch, positions), random),
      [0, 1, 1],
      classifier.target,
    );
    backward(loss);
    return { loss: item(loss), gradients: takeGradients(classifier) };
  });
}

function lossAlone(classifier: Classifier, random: DropoutRandom | null): number {
  return scope(() =>
    item(lossOf(forward(classifier.model, pack(classifier, batch, selected), random), [0, 1, 1], classifier.target))
  );
}

async function withGenerators(test: (random: { selected: Generator; rest: Generator }) => void): Promise<void> {
  await assertNothingLeft(() => {
    using selected = new Generator(1);
    using rest = new Generator(2);
    test({ selected, rest });
  });
}

Deno.test("the two states repeat loss and gradients to the bit", async () => {
  await withGenerators((random) => {
    using classifier = randomBert({ dropout: 0.1 });
    const states = [random.selected.state(), random.rest.state()] as const;
    const first = step(classifier, random);
    assert.notDeepEqual(step(classifier, random), first);
    random.selected.setState(states[0]);
    random.rest.setState(states[1]);
    assert.deepEqual(step(classifier, random), first);
  });
});

Deno.test("each of the two generators counts, for its own rows", async () => {
  await withGenerators((random) => {
    using classifier = randomBert({ dropout: 0.1 });
    const loss = (selectedSeed: number, restSeed: number): number => {
      random.selected.seed(selectedSeed);
      random.rest.seed(restSeed);
      return lossAlone(classifier, random);
    };
    assert.equal(loss(1, 2), loss(1, 2));
    assert.notEqual(loss(1, 3), loss(1, 2));
    assert.notEqual(loss(3, 2), loss(1, 2));
    const state = random.rest.state();
    step(classifier, random, null);
    assert.deepEqual(random.rest.state(), state);
  });
});

Deno.test("each part's rows draw from their own generator, and just what they need", async () => {
  await withGenerators((random) => {
    using classifier = randomBert({ dropout: 0.1 });
    const [sequences, length, k, size, heads, layers] = [3, 9, 4, 32, 4, 3];
    const states = [random.selected.state(), random.rest.state()];
    scope(() => {
      const positions = new Array(sequences).fill([0, 1, 2, 3]);
      forward(
        classifier.model,
        pack(classifier, randomSequences(new Array(sequences).fill(length)), positions),
        random,
      );
    });
    const perLayer = (rows: number): number => 2 * words(rows * size) + words(heads * rows * length);
    const [selectedRows, restRows] = [sequences * k, sequences * (length - k)];
    const ofSelected = words(selectedRows * size) + layers * perLayer(selectedRows) + words(sequences * size);
    const ofRest = words(restRows * size) + (layers - 1) * perLayer(restRows);
    assert.deepEqual(random.selected.state(), after(states[0], ofSelected));
    assert.deepEqual(random.rest.state(), after(states[1], ofRest));
  });
});

// Eight elements to a word of 64 bits.
function words(elements: number): number {
  return Math.ceil(elements / 8);
}

function after(state: Uint8Array | undefined, words: number): Uint8Array {
  using random = new Generator(0);
  random.setState(state ?? new Uint8Array());
  scope(() => ops.random_(ops.empty([words], { dtype: "int64" }), -(2n ** 63n), null, { generator: random }).dispose());
  return random.state();
}

Deno.test("without gradients the same states give the same loss", async () => {
  await withGenerators((random) => {
    using classifier = randomBert({ dropout: 0.1 });
    const states = [random.selected.state(), random.rest.state()] as const;
    const recorded = lossAlone(classifier, random);
    random.selected.setState(states[0]);
    random.rest.setState(states[1]);
    assert.equal(noGrad(() => lossAlone(classifier, random)), recorded);
  });
});

Deno.test("dropout changes the loss, and its absence draws nothing", async () => {
  await withGenerators((random) => {
    using dropping = randomBert({ dropout: 0.1 });
    using plain = randomBert();
    const states = [random.selected.state(), random.rest.state()];
    assert.equal(lossAlone(plain, random), lossAlone(plain, null));
    lossAlone(dropping, null);
    assert.deepEqual([random.selected.state(), random.rest.state()], states);
    assert.equal(lossAlone(dropping, null), lossAlone(plain, null));
    assert.notEqual(lossAlone(dropping, random), lossAlone(dropping, null));
  });
});
