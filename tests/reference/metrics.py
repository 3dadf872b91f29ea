"""Prints random and degenerate predictions with their metrics, as scikit-learn and SciPy compute them.

Standard output is one JSON object; what is no finite number is written as a word that JavaScript's Number reads.
Needs: numpy, scipy, scikit-learn.
"""
import json
import math
import sys
import warnings
from fractions import Fraction

import numpy
import sklearn
from scipy import stats
from sklearn import metrics
from sklearn.dummy import DummyClassifier

CLASSES = 5
CLASSIFICATIONS = 150
REGRESSIONS = 2000


def classification(predictions, labels, training):
    dummy = DummyClassifier(strategy="most_frequent").fit(numpy.zeros((len(training), 1)), training)
    f1 = metrics.f1_score(labels, predictions, labels=range(CLASSES), average=None, zero_division=0)
    return {
        "predictions": predictions.tolist(),
        "labels": labels.tolist(),
        "training": training.tolist(),
        "accuracy": metrics.accuracy_score(labels, predictions),
        "f1": f1.tolist(),
        "macroF1": metrics.f1_score(labels, predictions, average="macro", zero_division=0),
        "matthews": metrics.matthews_corrcoef(labels, predictions),
        "majority": dummy.score(numpy.zeros((len(labels), 1)), labels),
    }


def classifications(rng):
    for _ in range(CLASSIFICATIONS):
        classes, most = rng.integers(1, CLASSES + 1), rng.choice([1, 2, 3, 8, 100, 2000])
        size = rng.integers(1, most + 1)
        labels = skewed(rng, classes, size)
        right = rng.random(size) < rng.choice([0, 0.3, 0.7, 0.99, 1])
        predictions = numpy.where(right, labels, skewed(rng, classes, size))
        if rng.random() < 0.2:
            predictions[:] = rng.integers(0, classes)
        if rng.random() < 0.2:
            labels[:] = rng.integers(0, classes)
        yield predictions, labels, skewed(rng, classes, rng.integers(1, 9))


def skewed(rng, classes, size):
    return rng.choice(classes, size, p=rng.dirichlet(numpy.full(classes, 0.7)))


def regression(predictions, targets):
    with numpy.errstate(all="ignore"):
        enough = len(targets) > 1
        finite = bool(numpy.isfinite(predictions).all() and numpy.isfinite(targets).all())
        return {
            "predictions": spelled(predictions),
            "targets": spelled(targets),
            # SciPy takes an infinity among two values for a sign, and among more for no number.
            "pearson": spelled(pearson(predictions, targets) if enough and finite else math.nan),
            "spearman": spelled(stats.spearmanr(predictions, targets).statistic if enough else math.nan),
            "meanSquaredError": spelled(numpy.mean((predictions - targets) ** 2)),
        }


def pearson(predictions, targets):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", stats.NearConstantInputWarning)
            return stats.pearsonr(predictions, targets).statistic
    except stats.NearConstantInputWarning:  # SciPy says itself that it has lost the digits
        return exact_pearson(predictions, targets)


def exact_pearson(predictions, targets):
    x, y = [exactly_centered(values) for values in (predictions, targets)]
    products = sum(a * b for a, b in zip(x, y))
    square = products * products / (sum(a * a for a in x) * sum(b * b for b in y))
    return math.copysign(math.sqrt(square), products)


def exactly_centered(values):
    fractions = [Fraction(value) for value in values.tolist()]
    center = sum(fractions) / len(fractions)
    return [value - center for value in fractions]


def regressions(rng):
    for _ in range(REGRESSIONS):
        size = rng.integers(1, rng.choice([1, 2, 3, 10, 300]) + 1)
        predictions, targets = column(rng, size), column(rng, size)
        if rng.random() < 0.4:
            predictions = predictions + rng.choice([0, 1e-6, 1]) * targets
        yield predictions, targets


def column(rng, size):
    values = rng.normal(size=size)
    kind = rng.integers(0, 10)
    if kind == 0:
        return numpy.full(size, values[0])
    if kind == 1:  # ties
        return rng.integers(0, 4, size).astype(float)
    if kind == 2:  # GLUE's scores
        return rng.integers(0, 26, size) / 5
    if kind == 3:
        return values * 10.0 ** rng.integers(-300, 140)
    if kind == 4:  # far from zero
        return 10.0 ** rng.integers(0, 8) + values * 10.0 ** rng.integers(-2, 1)
    if kind == 8:  # nearly constant
        return 3 + values * 1e-14
    if kind == 5:  # a few infinities
        return numpy.where(rng.random(size) < 0.1, rng.choice([-numpy.inf, numpy.inf], size), values)
    if kind == 6:  # an outlier
        values[rng.integers(0, size)] *= 1e12
    if kind == 7:
        return numpy.where(rng.random(size) < 0.5, 0.0, -0.0) + (values > 1)
    return values


def spelled(value):
    if isinstance(value, numpy.ndarray):
        return [spelled(each) for each in value.tolist()]
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sklearn.set_config(skip_parameter_validation=True)
    rng = numpy.random.default_rng(5)
    cases = {
        "classification": [classification(*case) for case in classifications(rng)],
        "regression": [regression(*case) for case in regressions(rng)],
    }
    json.dump(cases, sys.stdout)
