# A tiny BERT whose weights are computed from others that train: the loss through them, twenty steps, and numbers that
# every language computes alike.
from collections.abc import Callable

import torch
from torch.func import functional_call

from fixtures import numbers
from small_bert import DECAY, FOLDER, collate, load, loss_of, sequences

LENGTHS, LABELS = [5, 11, 3, 8], [2, 0, 1, 1]
LEARNING_RATE = 1e-3
HEAD = ("bert.pooler.", "classifier.")

Weights = dict[str, torch.Tensor]


def weyl(count: int, offset: float) -> torch.Tensor:
    """The fractional parts of i times the golden ratio and an offset, i from 1: spread evenly from 0 to 1."""
    return torch.frac(torch.arange(1, count + 1, dtype=torch.float64) * 0.6180339887498949 + offset)


def batch() -> list[dict]:
    return sequences(LENGTHS, torch.Generator().manual_seed(17))


class Frozen:
    """The model in float64: a head that trains, and a frozen backbone some of whose weights are replaced."""

    def __init__(self) -> None:
        self.model = load(FOLDER).double()
        self.inputs = collate(batch())
        self.backbone = {
            key.removeprefix("bert."): each for key, each in self.model.named_parameters() if not key.startswith(HEAD)
        }
        for parameter in self.backbone.values():
            parameter.requires_grad_(False)

    def logits(self, weights: Weights) -> torch.Tensor:
        replaced = {f"bert.{key}": each for key, each in weights.items()}
        return functional_call(self.model, replaced, kwargs=self.inputs).logits

    def loss(self, weights: Weights) -> torch.Tensor:
        return loss_of(self.logits(weights), LABELS)

    def head(self) -> list[torch.Tensor]:
        return [each for key, each in self.model.named_parameters() if key.startswith(HEAD)]


def adamw(parameters: list[torch.Tensor], gates: list[torch.Tensor], gate_rate: float) -> torch.optim.AdamW:
    """AdamW that decays matrices alone; gates have a learning rate of their own."""
    groups = [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": DECAY},
        {"params": [each for each in parameters if each.ndim == 1], "weight_decay": 0.0},
    ]
    if gates:
        groups.append({"params": gates, "weight_decay": 0.0, "lr": gate_rate})
    return torch.optim.AdamW(groups, lr=LEARNING_RATE)


def train(optimizer: torch.optim.AdamW, steps: range, losses: Callable[[int], tuple]) -> list:
    """The losses of the steps; `losses` gives each step's, and what is added to it for the gradients."""
    found = []
    for step in steps:
        optimizer.zero_grad()
        loss, penalty = losses(step)
        (loss + penalty).backward()
        optimizer.step()
        found.append(numbers(loss.detach()))
    return found
