// Gradients layer by layer: the same bits whether graphs are stored or rebuilt, and no more kept than each mode says.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  accumulateGradients,
  type ActivationMode,
  AdamW,
  backward,
  type Classifier,
  forward,
  Generator,
  type GradientOptions,
  item,
  lossOf,
  namedParameters,
  ops,
  scope,
  selectPositions,
  type Tensor,
  toNumbers,
} from "../../mod.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { distance, norm } from "../support/numbers.ts";
import { pack, takeGradients } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const lengths = [17, 3, 9, 30, 8, 1, 12];
const labels = [0, 1, 1, 0, 1, 0, 0];

interface Outcome {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, number[]>;
  readonly states: readonly string[];
}

/** The outcome in few characters that differ when any bit does. */
function digest({ loss, gradients, states }: Outcome): string {
  const hash = createHash("sha256").update(JSON.stringify([loss, states]));
  for (const [key, values] of gradients) hash.update(key).update(Float64Array.from(values));
  return hash.digest("hex");
}

/** Runs `body` on a batch with dropout's generators in a known state. */
function outcomeOf(
  classifier: Classifier,
  body: (batch: ReturnType<typeof pack>, random: { selected: Generator; rest: Generator }) => number,
  k: number | "all" = 5,
): Outcome {
  return scope(() => {
    using positions = new Generator(3);
    using selected = new Generator(1);
    using rest = new Generator(2);
    const batch = pack(classifier, randomSequences(lengths), selectPositions(lengths, k, positions), {
      rowsPerBlock: 40,
    });
    const loss = body(batch, { selected, rest });
    return { loss, gradients: takeGradients(classifier), states: [selected, rest].map((each) => each.state().join()) };
  });
}

function inOneGraph(classifier: Classifier, k: number | "all"): Outcome {
  return outcomeOf(classifier, (batch, random) => {
    const loss = lossOf(forward(classifier.model, batch, random), labels, classifier.target);
    backward(loss);
    return item(loss);
  }, k);
}

function inMode(
  classifier: Classifier,
  options: Pick<GradientOptions, "activations" | "keptStates" | "precision">,
  k: number | "all",
): Outcome {
  return outcomeOf(
    classifier,
    (batch, random) => accumulateGradients(classifier.model, batch, lossFor(classifier), { random, ...options }),
    k,
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

// Each way to keep few of the states rebuilds others: from the embeddings, and from states in the middle.
const recomputing = [undefined, { from: 0, every: 1 }, { from: 0, every: 2 }, { from: 9, every: 1 }, {
  from: 2,
  every: 3,
}]
  .map((keptStates) => ({ activations: "recompute" as const, ...(keptStates && { keptStates }) }));

for (const frozen of [0, 1, 2, 3, 6]) {
  for (const k of [5, "all"] as const) {
    Deno.test(`stored and recomputed gradients are the same to the bit: k ${k}, ${frozen} parts frozen`, async () => {
      await assertNothingLeft(() => {
        using classifier = randomBert({ dropout: 0.2, numHiddenLayers: 5 });
        freeze(classifier, frozen);
        const stored = inMode(classifier, { activations: "store" }, k);
        assert.ok([...stored.gradients.values()].flat().some((value) => value !== 0));
        for (const options of recomputing) {
          assert.equal(digest(inMode(classifier, options, k)), digest(stored), JSON.stringify(options));
        }
      });
    });

    Deno.test(`they are those that LibTorch finds in one graph: k ${k}, ${frozen} parts frozen`, async () => {
      await assertNothingLeft(() => {
        using classifier = randomBert({ dropout: 0.2, numHiddenLayers: 5, dtype: "float64" });
        freeze(classifier, frozen);
        const [expected, actual] = [inOneGraph(classifier, k), inMode(classifier, { activations: "store" }, k)];
        assert.equal(actual.loss, expected.loss);
        assert.deepEqual(actual.states, expected.states);
        for (const [key, values] of expected.gradients) {
          assertClose(actual.gradients.get(key) ?? [], values, 1e-13 + 1e-13 * Math.max(...values.map(Math.abs)));
        }
      });
    });
  }
}

Deno.test("masked mode walks to the same gradients as split mode", async () => {
  await assertNothingLeft(() => {
    using classifier = randomBert({ numHiddenLayers: 4, dtype: "float64" });
    const gradients = (mode: "split" | "masked", activations: ActivationMode): ReadonlyMap<string, number[]> =>
      scope(() => {
        using positions = new Generator(3);
        const batch = pack(classifier, randomSequences(lengths), selectPositions(lengths, 5, positions), { mode });
        accumulateGradients(classifier.model, batch, lossFor(classifier), { random: null, activations });
        return takeGradients(classifier);
      });
    const split = gradients("split", "store");
    for (const activations of ["store", "recompute"] as const) {
      for (const [key, values] of gradients("masked", activations)) assertClose(split.get(key) ?? [], values, 1e-12);
    }
  });
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

for (const [keptStates, name] of [[{ from: -1, every: 1 }, "from"], [{ from: 0, every: 0 }, "every"]] as const) {
  Deno.test(`kept states that cannot be are refused: ${JSON.stringify(keptStates)}`, () => {
    using classifier = randomBert();
    assert.throws(() => inMode(classifier, { activations: "recompute", keptStates }, 5), {
      name: "OptionError",
      message: new RegExp(`^keptStates\\.${name} is -?\\d, it has to be a whole number of at least \\d$`),
    });
  });
}

Deno.test("in bf16 stored and recomputed gradients are the same to the bit, and near those in float32", async () => {
  await assertNothingLeft(() => {
    using classifier = randomBert({ dropout: 0.2, numHiddenLayers: 4 });
    for (const k of [5, "all"] as const) {
      const stored = inMode(classifier, { activations: "store", precision: "bf16" }, k);
      const recomputed = inMode(classifier, { activations: "recompute", precision: "bf16" }, k);
      assert.equal(digest(recomputed), digest(stored));
      const exact = inMode(classifier, { activations: "store" }, k);
      const all = (outcome: Outcome): number[] => [...outcome.gradients.values()].flat();
      const off = distance(all(stored), all(exact)) / norm(all(exact));
      assert.ok(off > 1e-5 && off < 0.05, `${off}`);
    }
  });
});
