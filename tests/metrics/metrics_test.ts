// Metrics against scikit-learn and SciPy, on random and degenerate predictions.
import assert from "node:assert/strict";
import { accuracy, f1, macroF1, majorityAccuracy, matthews } from "../../src/metrics/classification.ts";
import { meanSquaredError, pearson, spearman } from "../../src/metrics/regression.ts";

interface Classification {
  predictions: number[];
  labels: number[];
  training: number[];
  accuracy: number;
  f1: Record<string, number>;
  macroF1: number;
  matthews: number;
  majorityAccuracy: number;
}

interface Regression {
  predictions: number[];
  targets: number[];
  pearson: number | null;
  spearman: number | null;
  meanSquaredError: number;
}

const reference: { classification: Classification[]; regression: Regression[] } = JSON.parse(
  Deno.readTextFileSync(new URL("../fixtures/metrics.json", import.meta.url)),
);

function assertClose(actual: number, expected: number | null, what: string): void {
  const equal = expected === null
    ? Number.isNaN(actual)
    : Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
  assert.ok(equal, `${what}: ${actual}, not ${expected}`);
}

Deno.test("accuracy, F1, Matthews and the majority baseline equal scikit-learn's", () => {
  assert.ok(reference.classification.length >= 20);
  reference.classification.forEach((expected, index) => {
    const { predictions, labels, training } = expected;
    assertClose(accuracy(predictions, labels), expected.accuracy, `accuracy of case ${index}`);
    assertClose(macroF1(predictions, labels), expected.macroF1, `macro F1 of case ${index}`);
    assertClose(matthews(predictions, labels), expected.matthews, `Matthews of case ${index}`);
    assertClose(majorityAccuracy(labels, training), expected.majorityAccuracy, `majority of case ${index}`);
    for (const [positive, value] of Object.entries(expected.f1)) {
      assertClose(f1(predictions, labels, Number(positive)), value, `F1 of ${positive} in case ${index}`);
    }
  });
});

Deno.test("Pearson, Spearman and the mean squared error equal SciPy's and scikit-learn's", () => {
  assert.ok(reference.regression.length >= 20);
  reference.regression.forEach((expected, index) => {
    const { predictions, targets } = expected;
    assertClose(pearson(predictions, targets), expected.pearson, `Pearson of case ${index}`);
    assertClose(spearman(predictions, targets), expected.spearman, `Spearman of case ${index}`);
    assertClose(meanSquaredError(predictions, targets), expected.meanSquaredError, `error of case ${index}`);
  });
});

Deno.test("a correlation with what is not a number is not a number", () => {
  assert.equal(pearson([1, NaN, 3], [1, 2, 3]), NaN);
  assert.equal(spearman([1, NaN, 3], [1, 2, 3]), NaN);
  assertClose(spearman([-Infinity, 0, Infinity], [1, 2, 3]), 1, "Spearman of infinities");
});

Deno.test("lists of different lengths, and empty ones, are refused", () => {
  for (const metric of [accuracy, f1, macroF1, matthews, pearson, spearman, meanSquaredError]) {
    assert.throws(() => metric([], []), RangeError);
    assert.throws(() => metric([1, 0], [1]), RangeError);
    assert.throws(() => metric([1], [1, 0]), RangeError);
  }
});
