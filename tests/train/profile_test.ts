// A profiled step: exact bytes by what they are for, parts that add up, and the same memory as a step that is not watched.

import assert from "node:assert/strict";
import {
  accumulateGradients,
  AdamW,
  Generator,
  lossOf,
  memory,
  namedParameters,
  OptionError,
  packBatch,
  packingFor,
  type ProfileOptions,
  profileStep,
  resetPeakMemory,
  scope,
  selectPositions,
  type StepProfile,
} from "../../mod.ts";
import { randomBert, randomSequences, vocabSize } from "../support/random_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const lengths = [20, 12, 30, 7];
const k = 4;
const [hidden, intermediate, layers, positions, labels] = [32, 64, 3, 256, 2];

const modes = (["store", "recompute"] as const).flatMap((activations) =>
  [false, true].map((optimizerInBackward) => ({ activations, optimizerInBackward }))
);

function profile(options: Partial<ProfileOptions> = {}): Promise<StepProfile> {
  return profileStep(() => randomBert({ dropout: 0.1 }), { lengths, k, steps: 2, ...options });
}

// Of BERT's parts, counted by hand: weights and biases, two numbers for each element of a norm.
const linear = (from: number, to: number): number => from * to + to;
const words = vocabSize * hidden;
const otherEmbeddings = (positions + 2) * hidden + 2 * hidden;
const layer = 4 * linear(hidden, hidden) + linear(hidden, intermediate) + linear(intermediate, hidden) + 4 * hidden;
const head = linear(hidden, hidden) + linear(hidden, labels);
const parameters = words + otherEmbeddings + layers * layer + head;
const tensors = 5 + layers * 16 + 4;
const float = 4;

// The gradient of the vocabulary: a row for each token that carries gradients, with its index.
const wordsGradient = (tokens: number): number => tokens * (8 + hidden * float);

Deno.test("weights, optimizer state and gradients, to the byte", async () => {
  for (const [method, tokens] of [["selective", lengths.length * k], ["full", 69]] as const) {
    const { settings, ...result } = await profile({ method, k: method === "full" ? undefined : k });
    assert.deepEqual([settings.k, settings.tokens, settings.layers], [method === "full" ? "all" : k, 69, layers]);
    assert.equal(result.trainableParameters, parameters);
    assert.equal(result.weightsBytes, parameters * float);
    assert.equal(result.optimizerBytes, 2 * parameters * float + tensors * float);
    assert.equal(result.gradientBytes, (parameters - words) * float + wordsGradient(tokens));
  }
});

Deno.test("with the optimizer in backward the gradients of one part exist at once", async () => {
  const { gradientBytes } = await profile({ optimizerInBackward: true });
  const embeddings = otherEmbeddings * float + wordsGradient(lengths.length * k);
  assert.equal(gradientBytes, Math.max(layer * float, head * float, embeddings));
});

Deno.test("the parts add up to the whole", async () => {
  for (const mode of modes) {
    const { timeline, phases, peak, ...result } = await profile(mode);
    const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
    const resting = result.weightsBytes + result.optimizerBytes;
    let before = resting;
    for (const piece of timeline) {
      const { weightsBytes, optimizerBytes, gradientBytes, activationBytes, workspaceBytes } = piece;
      const parts = [weightsBytes, optimizerBytes, gradientBytes, activationBytes, workspaceBytes];
      assert.equal(sum(parts), piece.peakBytes);
      assert.ok(parts.every((bytes) => bytes >= 0), JSON.stringify(piece));
      assert.equal(piece.liveBytes, before + piece.addedBytes);
      assert.ok(piece.peakBytes >= Math.max(before, piece.liveBytes));
      before = piece.liveBytes;
    }
    assert.equal(before, resting);

    const { weightsBytes, optimizerBytes, gradientBytes, activationBytes, workspaceBytes } = peak;
    assert.equal(weightsBytes + optimizerBytes + gradientBytes + activationBytes + workspaceBytes, result.peakBytes);
    assert.equal(workspaceBytes, result.workspaceBytes);
    assert.equal(result.peakBytes, Math.max(...timeline.map(({ peakBytes }) => peakBytes)));

    const [context, weights, ...step] = phases;
    assert.deepEqual([context?.phase, context?.addedBytes], ["context", result.contextBytes]);
    assert.deepEqual([weights?.phase, weights?.addedBytes], ["weights", result.weightsBytes]);
    assert.equal(sum(step.map(({ addedBytes }) => addedBytes)), 0);
    assert.equal(Math.max(...step.map(({ peakBytes }) => peakBytes)), result.peakBytes);
    for (const { ms } of [...phases, ...timeline, { ms: result.stepMs }]) assert.ok(ms >= 0 && ms < Infinity);
  }
});

// The memory of the second step, as a program measures it that only sees the whole.
function secondStep(options: typeof modes[number]): { readonly activationBytes: number; readonly peakBytes: number } {
  const outside = memory().liveBytes;
  using classifier = randomBert({ dropout: 0.1 });
  using optimizer = new AdamW(namedParameters(classifier.model).values());
  const [positions, selected, rest] = [new Generator(0), new Generator(1), new Generator(2)];
  let activationBytes = 0;
  const step = (): void => {
    const { model, target } = classifier;
    const batch = packBatch(randomSequences(lengths), {
      selected: selectPositions(lengths, k, positions),
      ...packingFor(model),
    });
    const before = memory().liveBytes;
    accumulateGradients(model, batch, (logits) => lossOf(logits, lengths.map((_, row) => row % 2), target), {
      random: { selected, rest },
      activations: options.activations,
      onLoss: () => activationBytes = memory().liveBytes - before,
      ...(options.optimizerInBackward && {
        onComplete: (part) => optimizer.step(5e-5, namedParameters(part).values()),
      }),
    });
  };
  for (let count = 0; count < 2; count++) {
    resetPeakMemory();
    scope(step);
    optimizer.step(5e-5);
  }
  for (const random of [positions, selected, rest]) random.dispose();
  return { activationBytes, peakBytes: memory().peakBytes - outside };
}

Deno.test("reading the memory at each piece does not change it", async () => {
  for (const mode of modes) {
    const { peakBytes, activationBytes, phases } = await profile(mode);
    const batchBytes = phases.find(({ phase }) => phase === "batch")?.addedBytes ?? NaN;
    assert.deepEqual({ peakBytes, activationBytes: activationBytes - batchBytes }, secondStep(mode));
  }
});

Deno.test("the pieces come in the step's order, and the peak says where it is in words", async () => {
  const { timeline, peak } = await profile({ activations: "store", method: "full", k: undefined });
  const order = timeline.filter(({ phase }) => phase === "backward").map(({ layer }) => layer);
  assert.deepEqual(order, [3, 2, 1, 0, -1]);
  assert.deepEqual([timeline[0]?.phase, timeline.at(-1)?.phase], ["batch", "optimizerStep"]);
  const fullest = timeline.find(({ peakBytes }) => peakBytes === peak.peakBytes);
  assert.deepEqual([peak.phase, peak.layer], [fullest?.phase, fullest?.layer]);
  assert.match(
    peak.where,
    new RegExp(`^(forward with(out)? gradients|backward) through layer ${(peak.layer ?? NaN) + 1} of 3$`),
  );
});

Deno.test("a profile leaves no tensor, and makes two steps more than it times", async () => {
  const told: string[] = [];
  await assertNothingLeft(async () => {
    await profile({ steps: 3, onStep: (done, total) => told.push(`${done}/${total}`) });
    await assert.rejects(profile({ lengths: [257] }), /a sequence has 257 tokens, this model takes 1 to 256/);
  });
  assert.deepEqual(told, ["1/5", "2/5", "3/5", "4/5", "5/5"]);
});

Deno.test("options that cannot be", async () => {
  const refuse = (options: Partial<ProfileOptions>, message: RegExp): Promise<void> =>
    assert.rejects(profile(options), (error) => error instanceof OptionError && message.test(error.message));
  await refuse({ lengths: [] }, /a batch needs at least one sequence/);
  await refuse({ lengths: [2.5] }, /a sequence has 2\.5 tokens/);
  await refuse({ steps: 0 }, /^steps is 0, it has to be a whole number of at least 1$/);
  await refuse({ k: 0 }, /k is 0/);
  await refuse({ method: "full" }, /k is 4, but the method full has no k/);
  await refuse({ precision: "int8" as "bf16" }, /^precision is "int8"/);
  await refuse({ memoryBudget: NaN }, /^memoryBudget is NaN/);
  await refuse({ memoryBudget: 1e9, activations: "store" }, /set to store: use auto/);
  await refuse({ memoryBudget: 1e5 }, /the memory budget is 0\.1 MiB, but a step needs about/);
  await refuse({ activations: "kept" as "store" }, /^activations is "kept"/);
});
