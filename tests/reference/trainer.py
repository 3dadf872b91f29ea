# What PyTorch, transformers and scikit-learn compute of a trainer's parts: learning rates, class weights, smoothed and
# weighted losses, the parameters that decay, and whole runs with these.
#
#   trainer.py OUT    writes the checkpoints that the runs start from and end with, and OUT/trainer.json
import json
import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional
from transformers import (
    Trainer,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

import architectures
import language_model
import small_bert
import small_opt
from fixtures import deterministic

EPSILON, WEIGHT_DECAY, LEARNING_RATE = 0.01, 0.3, 0.02
LENGTHS, LABELS = [9, 3, 17, 1, 6, 12, 30, 4], [2, 0, 2, 2, 1, 2, 0, 2]
TOTAL_STEPS, NOT_CLIPPED = 6, 1e9


def schedule(name: str, optimizer, warmup: int, total: int):
    if name == "constant":
        return get_constant_schedule_with_warmup(optimizer, warmup)
    make = get_cosine_schedule_with_warmup if name == "cosine" else get_linear_schedule_with_warmup
    return make(optimizer, warmup, total)


def rates(name: str, warmup: int, total: int) -> dict:
    """The learning rate at every step, and at two after the last."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-5)
    course, found = schedule(name, optimizer, warmup, total), []
    for _ in range(total + 2):
        found.append(course.get_last_lr()[0])
        optimizer.step()
        course.step()
    return {"schedule": name, "warmupSteps": warmup, "totalSteps": total, "rates": found}


def class_weights(labels: list[int], given="balanced") -> list[float]:
    return compute_class_weight(given, classes=numpy.unique(labels), y=numpy.array(labels)).tolist()


def loss(smoothing: float, weights: list[float] | None) -> dict:
    generator = torch.Generator().manual_seed(7)
    logits = (3 * torch.randn(8, 3, generator=generator, dtype=torch.float64)).requires_grad_()
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    value = functional.cross_entropy(logits, torch.tensor(LABELS), weight=weight, label_smoothing=smoothing)
    value.backward()
    found = {"logits": logits.tolist(), "loss": value.item(), "gradient": logits.grad.tolist()}
    return {"labelSmoothing": smoothing, "classWeights": weights, **found}


def decayed(out: Path, name: str) -> dict:
    """The parameters of an architecture, and those that the Trainer decays."""
    model = architectures.create(name, num_labels=3)
    model.save_pretrained(out / name)
    return {
        "folder": str(out / name),
        "keys": [key for key, _ in model.named_parameters()],
        "decayed": Trainer.get_decay_parameter_names(None, model),
    }


def run(model, step_loss, frozen: str, max_norm: float, course: tuple[str, int]) -> dict:
    """Losses, norms of all gradients before they are clipped, and learning rates; the Trainer's groups of parameters."""
    for key, parameter in model.named_parameters():
        parameter.requires_grad_(frozen == "" or frozen not in key)
    names = set(Trainer.get_decay_parameter_names(None, model))
    trained = {key: each for key, each in model.named_parameters() if each.requires_grad}
    groups = [
        {"params": [each for key, each in trained.items() if key in names], "weight_decay": WEIGHT_DECAY},
        {"params": [each for key, each in trained.items() if key not in names], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, eps=EPSILON)
    rate, steps = schedule(*course[:1], optimizer, course[1], TOTAL_STEPS), []
    for _ in range(TOTAL_STEPS):
        value = step_loss()
        value.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), max_norm)
        steps.append({"loss": value.item(), "gradientNorm": norm.item(), "learningRate": rate.get_last_lr()[0]})
        optimizer.step()
        optimizer.zero_grad()
        rate.step()
    settings = {"schedule": course[0], "warmupSteps": course[1], "maxGradNorm": max_norm, "isFrozen": frozen != ""}
    return {**settings, "steps": steps}


def classification(out: Path, name: str, frozen: str, smoothing: float, weights: list[float] | None, *others) -> dict:
    model = small_bert.create(3)
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    model.save_pretrained(out / name)
    examples = small_bert.sequences(LENGTHS, torch.Generator().manual_seed(3))
    model, weight = model.double().eval(), None if weights is None else torch.tensor(weights, dtype=torch.float64)

    def step_loss() -> torch.Tensor:
        logits = model(**small_bert.collate(examples)).logits
        return functional.cross_entropy(logits, torch.tensor(LABELS), weight=weight, label_smoothing=smoothing)

    found = run(model, step_loss, frozen, *others)
    examples = [each | {"label": label} for each, label in zip(examples, LABELS)]
    settings = {"labelSmoothing": smoothing, "classWeights": weights}
    return {**settings, **found, **finish(out, name, model), "examples": examples}


def language(out: Path, name: str, frozen: str, smoothing: float, *others) -> dict:
    model = language_model.create(0)
    model.config.dropout = model.config.attention_dropout = 0.0
    model.save_pretrained(out / name)
    texts = small_opt.sequences([9, 2, 14, 6, 21], torch.Generator().manual_seed(3))
    model = language_model.load(out / name)
    inputs = small_opt.collate(texts)
    answers = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)[:, 1:].flatten()

    def step_loss() -> torch.Tensor:
        logits = model(**inputs).logits[:, :-1].flatten(0, 1)
        return functional.cross_entropy(logits, answers, ignore_index=-100, label_smoothing=smoothing)

    found = run(model, step_loss, frozen, *others)
    return {"labelSmoothing": smoothing, "classWeights": None, **found, **finish(out, name, model), "examples": texts}


def finish(out: Path, name: str, model) -> dict:
    ends = {key: each.detach().clone() for key, each in model.named_parameters()}
    save_file(ends, out / name / "trained.safetensors")
    return {"name": name, "folder": str(out / name)}


def main(out: Path) -> None:
    deterministic()
    courses = [(0, 1), (0, 7), (3, 10), (10, 10), (12, 10), (1, 40)]
    given = {0: 2.5, 2: 0.5}
    balanced = class_weights(LABELS)
    record = {
        "schedules": [rates(name, *each) for name in ("linear", "cosine", "constant") for each in courses],
        "classWeights": {
            "labels": LABELS,
            "balanced": balanced,
            "given": given,
            "weights": class_weights(LABELS, given),
        },
        "losses": [loss(*each) for each in [(0.0, None), (0.1, None), (0.0, [1, 0.5, 3]), (0.3, [1, 0.5, 3])]],
        "decayed": [decayed(out, name) for name in architectures.ARCHITECTURES],
        "learningRate": LEARNING_RATE,
        "epsilon": EPSILON,
        "weightDecay": WEIGHT_DECAY,
        "runs": [
            classification(out, "weighted", "", 0.1, balanced, 0.5, ("cosine", 2)),
            classification(out, "frozen", "embeddings", 0.0, [2.5, 1, 0.5], NOT_CLIPPED, ("constant", 3)),
            language(out, "language", "", 0.2, NOT_CLIPPED, ("cosine", 0)),
            language(out, "frozen_language", "embed", 0.2, 0.5, ("linear", 1)),
        ],
    }
    (out / "trainer.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
