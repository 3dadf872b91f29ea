// Metrics against scikit-learn and SciPy, on thousands of random and degenerate predictions.
import assert from "node:assert/strict";
import { accuracy, f1, macroF1, majorityAccuracy, matthews } from "../../src/metrics/classification.ts";
import { meanSquaredError, pearson, spearman } from "../../src/metrics/regression.ts";
import { runPython } from "../support/python.ts";

interface Classification {
  readonly predictions: readonly number[];
  readonly labels: readonly number[];
  readonly training: readonly number[];
  readonly accuracy: number;
  /** Of each class. */
  readonly f1: readonly number[];
  readonly macroF1: number;
  readonly matthews: number;
  readonly majority: number;
}

/** A number, or the word for one that JSON cannot hold. */
type Spelled = number | string;

interface Regression {
  readonly predictions: readonly Spelled[];
  readonly targets: readonly Spelled[];
  readonly pearson: Spelled;
  readonly spearman: Spelled;
  readonly meanSquaredError: Spelled;
}

const reference: { readonly classification: readonly Classification[]; readonly regression: readonly Regression[] } =
  JSON.parse(await runPython("metrics.py"));

function assertClose(actual: number, expected: Spelled, what: string): void {
  const wanted = Number(expected);
  const isClose = Object.is(actual, wanted) || Math.abs(actual - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted));
  assert.ok(isClose, `${what}: ${actual}, not ${expected}`);
}

Deno.test("accuracy, F1, Matthews and the majority baseline equal scikit-learn's", () => {
  assert.ok(reference.classification.length >= 150);
  for (const expected of reference.classification) {
    const { predictions, labels, training } = expected;
    const of = predictions.length <= 8 ? ` of ${predictions} for ${labels}` : "";
    assertClose(accuracy(predictions, labels), expected.accuracy, `accuracy${of}`);
    for (const [positive, value] of expected.f1.entries()) {
      assertClose(f1(predictions, labels, positive), value, `F1 of ${positive}${of}`);
    }
    assertClose(f1(predictions, labels), expected.f1[1] ?? NaN, `F1${of}`);
    assertClose(macroF1(predictions, labels), expected.macroF1, `macro F1${of}`);
    assertClose(matthews(predictions, labels), expected.matthews, `Matthews${of}`);
    assertClose(majorityAccuracy(labels, training), expected.majority, `majority${of}`);
  }
});

Deno.test("Pearson, Spearman and the mean squared error equal SciPy's and NumPy's", () => {
  assert.ok(reference.regression.length >= 2000);
  for (const expected of reference.regression) {
    const [predictions, targets] = [expected.predictions.map(Number), expected.targets.map(Number)];
    const of = predictions.length <= 8 ? ` of ${predictions} for ${targets}` : "";
    assertClose(pearson(predictions, targets), expected.pearson, `Pearson${of}`);
    assertClose(spearman(predictions, targets), expected.spearman, `Spearman${of}`);
    assertClose(meanSquaredError(predictions, targets), expected.meanSquaredError, `error${of}`);
  }
});

Deno.test("a correlation with what is not a number is not a number", () => {
  assert.equal(pearson([1, NaN, 3], [1, 2, 3]), NaN);
  assert.equal(pearson([1, Infinity, 3], [1, 2, 3]), NaN);
  assert.equal(spearman([1, NaN, 3], [1, 2, 3]), NaN);
  assert.equal(meanSquaredError([1, NaN], [1, 2]), NaN);
});

Deno.test("lists of different lengths, and empty ones, are refused", () => {
  for (const metric of [accuracy, f1, macroF1, matthews, pearson, spearman, meanSquaredError]) {
    assert.throws(() => metric([], []), RangeError);
    assert.throws(() => metric([1, 0], [1]), RangeError);
    assert.throws(() => metric([1], [1, 0]), RangeError);
  }
});
