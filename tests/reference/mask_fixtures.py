# Masking (Zhao et al. 2020) on the tiny BERT, from its equations 2 to 4: logits, gradients of the scores, twenty steps.
import torch
from safetensors.torch import save_file

from derived_weights import LABELS, LEARNING_RATE, Frozen, adamw, batch, train, weyl
from fixtures import FIXTURES, deterministic, numbers, versions, write_json
from small_bert import DECAY

PLACE = FIXTURES / "mask"
STEPS = 20
TARGETS = ("attention.self.query.weight", "output.dense.weight")


def masked_keys(frozen: Frozen) -> list[str]:
    return [key for key in frozen.backbone if key.endswith(TARGETS) and "attention.output" not in key]


def first_scores(frozen: Frozen) -> dict[str, torch.Tensor]:
    scores = {}
    for place, key in enumerate(masked_keys(frozen)):
        base = frozen.backbone[key]
        scores[key] = (0.02 * (weyl(base.numel(), 0.3 * place) - 0.1)).reshape(base.shape).requires_grad_()
    return scores


def masked(frozen: Frozen, scores: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Forward the mask is binary; backward its gradient is the scores'."""
    binary = {key: (each >= 0).double() for key, each in scores.items()}
    return {key: frozen.backbone[key] * (binary[key] + each - each.detach()) for key, each in scores.items()}


def main() -> None:
    deterministic()
    PLACE.mkdir(exist_ok=True)
    frozen = Frozen()
    scores = first_scores(frozen)
    logits64 = frozen.logits(masked(frozen, scores))
    loss64 = frozen.loss(masked(frozen, scores))
    loss64.backward()
    save_file({key: each.grad.float() for key, each in scores.items()}, PLACE / "gradients.safetensors")
    frozen.model.zero_grad()
    optimizer = adamw([*scores.values(), *frozen.head()], [], 0)
    losses64 = train(optimizer, range(STEPS), lambda _: (frozen.loss(masked(frozen, scores)), 0))
    save_file({key: each.detach().float() for key, each in scores.items()}, PLACE / "after.safetensors")
    settings = {"learningRate": LEARNING_RATE, "weightDecay": DECAY}
    values = {"logits64": numbers(logits64.detach()), "loss64": numbers(loss64.detach()), "losses64": losses64}
    about = {"versions": versions(), "sequences": batch(), "labels": LABELS, "keys": list(scores)}
    write_json("mask/case.json", about | settings | values)


if __name__ == "__main__":
    main()
