// Gradients layer by layer: the same bits whether graphs are stored or rebuilt, and no more kept than each mode says.

import assert from "node:assert/strict";
import {
  accumulateGradients,
  type ActivationMode,
  AdamW,
  backward,
  type Classifier,
  forward,
  Generator,
  item,
  lossOf,
  memory,
  namedParameters,
  ops,
  scope,
  selectPositions,
  type Tensor,
  toNumbers,
} from "../../mod.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { pack, takeGradients } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const lengths = [17, 3, 9, 30, 8, 1, 12];
const labels = [0, 1, 1, 0, 1, 0, 0];

interface Outcome {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, number[]>;
  readonly states: readonly string[];
}

/** Runs `body` on a batch with dropout's generators in a known state. */
function outcomeOf(
  classifier: Classifier,
  body: (batch: ReturnType<typeof pack>, random: { selected: Generator; rest: Generator }) => number,
): Outcome {
  return scope(() => {
    using positions = new Generator(3);
    using selected = new Generator(1);
    using rest = new Generator(2);
    const batch = pack(classifier, randomSequences(lengths), selectPositions(lengths, 5, positions), {
      rowsPerBlock: 40,
    });
    const loss = body(batch, { selected, rest });
    return { loss, gradients: takeGradients(classifier), states: [selected, rest].map((each) => each.state().join()) };
  });
}

function inOneGraph(classifier: Classifier): Outcome {
  return outcomeOf(classifier, (batch, random) => {
    const loss = lossOf(forward(classifier.model, batch, random), labels, classifier.target);
    backward(loss);
    return item(loss);
  });
}

function inMode(classifier: Classifier, activations: ActivationMode): Outcome {
  return outcomeOf(
    classifier,
    (batch, random) => accumulateGradients(classifier.model, batch, lossFor(classifier), { random, activations }),
  );
}

function lossFor(classifier: Classifier): (logits: Tensor) => Tensor {
  return (logits) => lossOf(logits, labels, classifier.target);
}

/** Freezes the embeddings and the first `layers - 1` layers; 0 freezes nothing. */
function freeze(classifier: Classifier, layers: number): void {
  for (const [key, parameter] of namedParameters(classifier.model)) {
    const layer = /layer\.(\d+)/.exec(key)?.[1];
    const isFrozen = layers > 0 && (layer === undefined ? key.includes("embeddings") : Number(layer) < layers - 1);
    ops.requiresGrad_(parameter, !isFrozen).dispose();
  }
}

for (const frozen of [0, 1, 2, 4]) {
  Deno.test(`stored and recomputed gradients are those of one graph, to the bit: ${frozen} parts frozen`, async () => {
    await assertNothingLeft(() => {
      using classifier = randomBert({ dropout: 0.2 });
      freeze(classifier, frozen);
      const expected = inOneGraph(classifier);
      assert.ok([...expected.gradients.values()].flat().some((value) => value !== 0));
      assert.deepEqual(inMode(classifier, "store"), expected);
      assert.deepEqual(inMode(classifier, "recompute"), expected);
    });
  });
}

/** Live bytes that forward has added at its end, in a model of `numHiddenLayers`. */
function keptBytes(activations: ActivationMode, numHiddenLayers: number, k: number): number {
  using classifier = randomBert({ numHiddenLayers });
  return scope(() => {
    using positions = new Generator(3);
    const sequences = randomSequences([16, 16, 16, 16]);
    const batch = pack(classifier, sequences, selectPositions([16, 16, 16, 16], k, positions));
    const before = memory().liveBytes;
    let kept = 0;
    accumulateGradients(classifier.model, batch, (logits) => ops.sum(logits), {
      random: null,
      activations,
      onLoss: () => kept = memory().liveBytes - before,
    });
    takeGradients(classifier);
    return kept;
  });
}

Deno.test("recompute keeps of each layer its input alone: the selected rows and the rest", () => {
  const perLayer = (k: number): number => keptBytes("recompute", 4, k) - keptBytes("recompute", 3, k);
  assert.equal(perLayer(4), 4 * (4 * 16 * 32));
  assert.equal(perLayer(16), 4 * (4 * 16 * 32));
});

Deno.test("each part is told of when its gradients are complete, from the head down", () => {
  using classifier = randomBert();
  const { backbone, head } = classifier.model;
  const parts = [head, ...backbone.layers.toReversed(), backbone.embeddings];
  let told = 0;
  outcomeOf(classifier, (batch, random) =>
    accumulateGradients(classifier.model, batch, lossFor(classifier), {
      random,
      activations: "recompute",
      onComplete: (part) => {
        assert.equal(part, parts[told++]);
        const hasGradient = (tensor: Tensor): boolean => tensor.grad !== null;
        scope(() => {
          for (const [index, each] of parts.entries()) {
            assert.equal(namedParameters(each).values().every(hasGradient), index < told, `part ${index} at ${told}`);
          }
        });
      },
    }));
  assert.equal(told, parts.length);
});

Deno.test("an optimizer in backward leaves the same weights, to the bit, and never all gradients", () => {
  const weights = (inBackward: boolean): [number[], number] => {
    using classifier = randomBert({ dropout: 0.1 });
    using optimizer = new AdamW(namedParameters(classifier.model).values());
    let mostGradients = 0;
    for (let step = 0; step < 3; step++) {
      outcomeOf(classifier, (batch, random) =>
        accumulateGradients(classifier.model, batch, lossFor(classifier), {
          random,
          onComplete: (part) => {
            const having = scope(() =>
              namedParameters(classifier.model).values().filter((each) => each.grad !== null).toArray().length
            );
            mostGradients = Math.max(mostGradients, having);
            if (inBackward) optimizer.step(0.01, namedParameters(part).values());
          },
        }) + (inBackward ? 0 : (optimizer.step(0.01), 0)));
    }
    return [namedParameters(classifier.model).values().toArray().flatMap(toNumbers), mostGradients];
  };
  const [[after, all], [inBackward, most]] = [weights(false), weights(true)];
  assert.deepEqual(inBackward, after);
  assert.ok(most < all / 2, `${most} of ${all} at once`);
});
