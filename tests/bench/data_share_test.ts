// The benchmark of what data costs: its parts are measured, and its tables say so.

import assert from "node:assert/strict";
import { join } from "node:path";
import { dataShareTables, measureEvaluation, measureTokenizing, measureTraining } from "../../bench/data_share.ts";
import { describeOrigin } from "../../bench/results.ts";
import { type Classifier, type EncodedExample, loadTokenizer } from "../../mod.ts";
import { reviews, writeTinyModel } from "../cli/tiny_model.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { randomBert } from "../support/random_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const examples: readonly EncodedExample[] = Array.from({ length: 40 }, (_, row) => ({
  inputIds: Int32Array.from({ length: 10 + row % 7 }, (_, position) => 1 + (row + position) % 40),
  tokenTypeIds: new Int32Array(10 + row % 7),
  label: row % 2,
}));

Deno.test("the shares are of a step and of an evaluation, and a table has a row for each", async () => {
  using temporary = temporaryFolder();
  await assertNothingLeft(async () => {
    const make = (): Promise<Classifier> => Promise.resolve(randomBert());
    const training = await measureTraining({ make, examples, k: 4, batchSize: 4, steps: 5 });
    const { stepMs, batchMs, betweenMs, shuffleMs, share } = training;
    assert.ok(stepMs > batchMs && batchMs > 0 && betweenMs > 0 && shuffleMs > 0);
    assert.ok(share > batchMs / (stepMs + betweenMs + shuffleMs) && share < 1);
    const evaluation = await measureEvaluation({ make, examples });
    assert.ok(evaluation.share > 0 && evaluation.share < 1 && evaluation.share === evaluation.packMs / evaluation.ms);
    const model = join(temporary.path, "model");
    writeTinyModel(model);
    const measured = await measureTokenizing(reviews(300), await loadTokenizer(model));
    assert.ok(measured.tokenizeMs > 0 && measured.cachedMs > 0);
    const tables = dataShareTables({
      ...await describeOrigin(),
      settings: { model: "random", task: "none", steps: 5, threads: 1, maxLength: 256 },
      ...{ training: [training], evaluation, tokenizing: [{ name: "reviews", examples: 300, ...measured }] },
    });
    assert.deepEqual(tables.split("\n").map((line) => line.split("|")[1]?.trim() ?? ""), [
      ...["", "---", "k 4, batch 4", "evaluation of 40", ""],
      ...["", "---", "reviews"],
    ]);
  });
});
