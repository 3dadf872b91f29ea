// Which positions the policies select: scores as PyTorch has them, the best of them, and always what the head reads.

import assert from "node:assert/strict";
import { applyMethod, Generator, loadClassifier, lossOf, type Sequence, toNumbers, train } from "../../mod.ts";
import { trainedParameters } from "../../src/nn/module.ts";
import { drawWithProbabilities, inclusionProbabilities } from "../../src/selective/inclusion.ts";
import { choosePositions, positionPolicies, type PositionPolicy } from "../../src/selective/policies.ts";
import { attentionScores, gradientScores } from "../../src/selective/position_scores.ts";
import { Stepper } from "../../src/train/step.ts";
import { distance, norm } from "../support/numbers.ts";
import { labelledSequences, randomBert, randomSequences } from "../support/random_bert.ts";
import { readFixture, takeGradients } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

interface Fixture {
  readonly cases: readonly {
    readonly name: string;
    readonly sequences: readonly Sequence[];
    readonly labels: readonly number[];
    readonly attention: readonly (readonly number[])[];
    readonly gradient: readonly (readonly number[])[];
  }[];
}

for (const { name, sequences, labels, attention, gradient } of readFixture<Fixture>("scores.json").cases) {
  Deno.test(`${name}: attention received and gradient norms are PyTorch's, and no parameter has a gradient`, async () => {
    await assertNothingLeft(async () => {
      const folder = new URL(`../fixtures/${name}`, import.meta.url).pathname;
      using classifier = await loadClassifier(folder, { dtype: "float64" });
      const { model, target } = classifier;
      const found = {
        attention: attentionScores(model, sequences),
        gradient: gradientScores(model, sequences, (logits) => lossOf(logits, labels, target)),
      };
      // OPT's attention rounds the probabilities that it tells of to float32.
      for (const [scores, expected] of [[found.attention, attention], [found.gradient, gradient]] as const) {
        assert.deepEqual(scores.map(({ length }) => length), expected.map(({ length }) => length));
        const [numbers, reference] = [scores.flat(), expected.flat()];
        assert.ok(distance(numbers, reference) <= 1e-6 * norm(reference), `${numbers} ${reference}`);
      }
      for (const parameter of trainedParameters(model)) assert.equal(parameter.grad, null);
    });
  });
}

Deno.test("what stands before a text has no scores, and the text's are by what its positions get beside it", () => {
  assertNothingLeft(() => {
    using classifier = randomBert();
    applyMethod(classifier, "prefix+prompt", { prefixLength: 3, promptLength: 2 });
    const { model, target } = classifier;
    const sequences = randomSequences([5, 9, 3]);
    const attention = attentionScores(model, sequences);
    const gradient = gradientScores(model, sequences, (logits) => lossOf(logits, [0, 1, 0], target));
    for (const scores of [attention, gradient]) assert.deepEqual(scores.map(({ length }) => length), [5, 9, 3]);
    // Each of 5 + 2 queries gives 1 in each of two layers, a part of it to the keys before the text.
    const sums = attention.map((scores) => scores.reduce((sum, score) => sum + score, 0));
    sums.forEach((sum, index) => assert.ok(sum > 0 && sum < 2 * (2 + (attention[index]?.length ?? 0)), `${sum}`));
  });
});

const lengths = [9, 3, 17, 1, 6, 12, 5, 4, 8, 7];

Deno.test("each policy selects k positions, what the head reads among them, and the best by its scores", () => {
  assertNothingLeft(() => {
    using classifier = randomBert();
    const { model, target } = classifier;
    const sequences = randomSequences(lengths);
    using random = new Generator(1);
    const choose = (policy: typeof positionPolicies[number], seed = 1): number[][] =>
      choosePositions(policy, {
        ...{ model, sequences, k: 4, random, seed },
        lossOf: (logits) => lossOf(logits, toLabels(logits.length(0)), target),
      }).positions.map((positions) => [...positions]);
    for (const policy of positionPolicies) {
      for (const [index, positions] of choose(policy).entries()) {
        const length = lengths[index] ?? 0;
        assert.equal(new Set(positions).size, Math.min(4, length), policy);
        assert.ok(
          positions[0] === 0 && positions.every((each, at) => each < length && each > (positions[at - 1] ?? -1)),
        );
      }
    }
    assert.deepEqual(choose("first"), lengths.map((length) => [0, 1, 2, 3].slice(0, length)));
    assert.deepEqual(choose("fixed"), choose("fixed"));
    assert.notDeepEqual(choose("fixed"), choose("fixed", 2));
    assert.notDeepEqual(choose("random"), choose("random"));
    const scores = attentionScores(model, sequences);
    choose("attention").forEach((positions, index) => {
      const least = Math.min(...positions.slice(1).map((position) => scores[index]?.[position] ?? NaN));
      const others = scores[index]?.filter((_, position) => position > 0 && !positions.includes(position)) ?? [];
      assert.ok(others.every((score) => score <= least), `${positions}`);
    });
  });
});

function toLabels(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index % 2);
}

const examples = labelledSequences([40, 3, 17, 30]);

for (const positions of positionPolicies) {
  Deno.test(`training by ${positions}: the same in every mode, and another way than by another policy`, async () => {
    await assertNothingLeft(async () => {
      const trained = async (more: Parameters<typeof train>[2]): Promise<number[]> => {
        using classifier = randomBert({ dropout: 0.1 });
        const settings = { k: 4, positions, batchSize: 4, maxSteps: 2, learningRate: 1e-2 };
        await train(classifier, { train: examples }, { ...settings, ...more });
        return trainedParameters(classifier.model).flatMap((parameter) => toNumbers(parameter));
      };
      const stored = await trained({ activations: "store" });
      const optimizerInBackward = positions !== "importance";
      assert.deepEqual(await trained({ activations: "recompute", optimizerInBackward }), stored);
      const other = positions === "random" ? "first" : "random";
      assert.notDeepEqual(await trained({ positions: other }), stored);
    });
  });
}

Deno.test("positions are drawn as often as their probabilities say, k of them, and count the inverse", () => {
  const scores = [3, 0, 1, 8, 0.5, 2, 40, 1];
  const probabilities = inclusionProbabilities(scores, 4, 0);
  assert.equal(probabilities[0], 1);
  assert.equal(probabilities[6], 1);
  assert.ok(Math.abs(probabilities.reduce((sum, each) => sum + each, 0) - 4) < 1e-12);
  assert.ok(Math.abs((probabilities[3] ?? 0) - (probabilities[5] ?? 0)) > 0.2);
  using random = new Generator(3);
  const draws = 20_000;
  const counts = scores.map(() => 0);
  for (let draw = 0; draw < draws; draw++) {
    const { positions, weights } = drawWithProbabilities(probabilities, random);
    assert.equal(positions.length, 4);
    for (const position of positions) counts[position] = (counts[position] ?? 0) + 1;
    const products = positions.map((position, at) => (weights[at] ?? 0) * (probabilities[position] ?? 0));
    assert.ok(products.every((product) => Math.abs(product - (products[0] ?? 0)) < 1e-12));
  }
  for (const [position, probability] of probabilities.entries()) {
    const deviation = Math.sqrt(draws * probability * (1 - probability));
    assert.ok(Math.abs((counts[position] ?? 0) - draws * probability) <= 4.5 * deviation, `${position}`);
  }
  assert.deepEqual(inclusionProbabilities([0, 0, 0, 0], 2, null), [0.5, 0.5, 0.5, 0.5]);
});

Deno.test("by importance, the mean of many steps' gradients comes to that of all positions; at random it does not", () => {
  using classifier = randomBert({ dtype: "float64", numHiddenLayers: 2, hiddenSize: 16, intermediateSize: 16 });
  const gradient = (positions: PositionPolicy, k: number | "all", seed: number): number[] => {
    const plan = { activations: "store", keptStates: { from: 0, every: 1 } } as const;
    using stepper = new Stepper(classifier, plan, { k, positions, seed });
    stepper.accumulate(labelledSequences([9, 5, 12, 7]));
    return [...takeGradients(classifier).values()].flat();
  };
  const full = gradient("random", "all", 0);
  const error = (positions: PositionPolicy, seeds: number): number => {
    const sum = full.map(() => 0);
    for (let seed = 0; seed < seeds; seed++) {
      gradient(positions, 3, seed).forEach((value, at) => sum[at] = (sum[at] ?? 0) + value);
    }
    return distance(sum.map((value) => value / seeds), full) / norm(full);
  };
  const [few, many, biased] = [error("importance", 20), error("importance", 320), error("random", 80)];
  // Sixteen times as many halve an error that is all chance twice.
  assert.ok(many < few / 2.5 && many < biased / 2.5, `${few} ${many} ${biased}`);
});
