"""Metrics of random and degenerate predictions, as scikit-learn and SciPy compute them.

Writes metrics.json into ../fixtures. Not a number is written as null.
Needs: numpy, scipy, scikit-learn.
"""
import json
import math
import pathlib
import warnings

import numpy
from scipy import stats
from sklearn import metrics
from sklearn.dummy import DummyClassifier

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"


def classification(predictions, labels, training):
    dummy = DummyClassifier(strategy="most_frequent").fit([[0]] * len(training), training)
    positives = {
        str(positive): metrics.f1_score(
            numpy.array(labels) == positive, numpy.array(predictions) == positive, zero_division=0
        )
        for positive in range(4)
    }
    return {
        "predictions": predictions,
        "labels": labels,
        "training": training,
        "accuracy": metrics.accuracy_score(labels, predictions),
        "f1": positives,
        "macroF1": metrics.f1_score(labels, predictions, average="macro", zero_division=0),
        "matthews": metrics.matthews_corrcoef(labels, predictions),
        "majorityAccuracy": dummy.score([[0]] * len(labels), labels),
    }


def regression(predictions, targets):
    pearson = stats.pearsonr(predictions, targets).statistic if len(targets) > 1 else math.nan
    spearman = stats.spearmanr(predictions, targets).statistic if len(targets) > 1 else math.nan
    return {
        "predictions": predictions,
        "targets": targets,
        "pearson": pearson,
        "spearman": spearman,
        "meanSquaredError": metrics.mean_squared_error(targets, predictions),
    }


def classifications(rng):
    for classes in [2, 2, 3, 4]:
        for size in [1, 2, 7, 60]:
            labels = rng.integers(0, classes, size)
            predictions = numpy.where(rng.random(size) < 0.7, labels, rng.integers(0, classes, size))
            yield predictions.tolist(), labels.tolist(), rng.integers(0, classes, 9).tolist()
    yield [0, 0, 0, 0], [0, 0, 0, 0], [0, 1]
    yield [1, 1, 1, 1], [0, 0, 0, 0], [1, 0]
    yield [0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 0]
    yield [0, 1, 0, 1], [1, 1, 1, 1], [2, 2, 1, 1]
    yield [1, 0, 1, 0], [0, 1, 0, 1], [3]
    yield [0, 1, 2], [0, 1, 2], [2, 1, 0]
    yield [3, 3, 3], [0, 1, 2], [1]


def regressions(rng):
    for size in [2, 3, 10, 80]:
        targets = rng.normal(size=size)
        yield (targets + rng.normal(size=size)).tolist(), targets.tolist()
        yield (1e6 + 1e-3 * targets).tolist(), rng.normal(size=size).tolist()
        yield rng.integers(0, 4, size).astype(float).tolist(), (rng.integers(0, 6, size) / 2).tolist()
    yield [0.1, 0.1, 0.1], [1.0, 2.0, 3.0]
    yield [1.0, 2.0, 3.0], [0.3, 0.3, 0.3]
    yield [0.1, 0.1, 0.1], [0.7, 0.7, 0.7]
    yield [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    yield [1.0, 2.0, 3.0], [10.0, 20.0, 30.0]
    yield [1e-180, 3e-180, 2e-180], [1e150, 2e150, 4e150]
    yield [5.0], [3.0]
    yield [0.1 + 0.2, 0.3, 0.3], [1.0, 2.0, 3.0]
    yield [-0.0, 0.0, 1.0], [1.0, 2.0, 3.0]


def without_nan(value):
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rng = numpy.random.default_rng(5)
    cases = {
        "classification": [without_nan(classification(*case)) for case in classifications(rng)],
        "regression": [without_nan(regression(*case)) for case in regressions(rng)],
    }
    (FIXTURES / "metrics.json").write_text(json.dumps(cases) + "\n")
    print({kind: len(values) for kind, values in cases.items()})
