# Diff pruning (Guo et al. 2021) on the tiny BERT, from its equations: a loss with gates, its gradients, and twenty steps,
# ten of which follow the choice of the elements that stay. Autograd finds the gradients, also those of the penalty.
import torch
from safetensors.torch import save_file

from derived_weights import LABELS, LEARNING_RATE, Frozen, adamw, batch, train, weyl
from fixtures import FIXTURES, deterministic, numbers, versions, write_json
from small_bert import DECAY

PLACE = FIXTURES / "diff"
STEPS, OPEN_STEPS = 20, 10
PENALTY, GATE_RATE, SPARSITY = 1e-3, 0.1, 0.02
LOW, HIGH = -1.5, 1.5
STORED = ("encoder.layer.2.", "embeddings.word")


class Differences:
    """For each weight of the backbone values w, a vector alpha, and structured another alpha for the whole."""

    def __init__(self, frozen: Frozen, structured: bool) -> None:
        self.frozen, self.structured = frozen, structured
        self.values, self.alphas, self.groups = {}, {}, {}
        for place, (key, base) in enumerate(frozen.backbone.items()):
            offset = 0.57 * place
            self.values[key] = (0.2 * (weyl(base.numel(), offset) - 0.5)).reshape(base.shape).requires_grad_()
            self.alphas[key] = (6 * (weyl(base.numel(), offset + 0.2) - 0.5)).requires_grad_()
            self.groups[key] = (4 * (weyl(1, offset + 0.4) - 0.25)).requires_grad_()

    def gates(self) -> list[torch.Tensor]:
        return [*self.alphas.values(), *(self.groups.values() if self.structured else [])]

    def difference(self, key: str, step: int | None) -> torch.Tensor:
        """z w with the noise of a step, or without any."""
        offset = None if step is None else 0.75 * step + 0.57 * list(self.values).index(key)
        z = gate(self.alphas[key], offset).reshape(self.values[key].shape)
        if self.structured:
            z = z * gate(self.groups[key], None if offset is None else offset + 0.31)
        return z * self.values[key]

    def weights(self, step: int | None) -> dict[str, torch.Tensor]:
        return {key: base + self.difference(key, step) for key, base in self.frozen.backbone.items()}

    def expected_count(self) -> torch.Tensor:
        """The expected number of elements that are not 0."""
        shift = torch.log(torch.tensor(-LOW / HIGH, dtype=torch.float64))
        parts = [torch.sigmoid(alpha - shift).sum() for alpha in self.alphas.values()]
        if self.structured:
            parts = [
                part * torch.sigmoid(group - shift)[0] for part, group in zip(parts, self.groups.values(), strict=True)
            ]
        return torch.stack(parts).sum()

    def pruned(self) -> tuple[dict, dict]:
        """The differences without noise, and masks of those of the largest magnitude."""
        differences = {key: self.difference(key, None).detach() for key in self.values}
        magnitudes = torch.cat([each.abs().flatten() for each in differences.values()])
        bound = magnitudes.sort(descending=True).values[round(SPARSITY * magnitudes.numel()) - 1]
        return differences, {key: (each.abs() >= bound).double() for key, each in differences.items()}


def gate(alpha: torch.Tensor, offset: float | None) -> torch.Tensor:
    u = torch.full_like(alpha, 0.5) if offset is None else weyl(alpha.numel(), offset)
    s = torch.sigmoid(torch.log(u) - torch.log(1 - u) + alpha)
    return torch.clamp(s * (HIGH - LOW) + LOW, 0, 1)


def steps(frozen: Frozen, parts: Differences) -> tuple[list, dict]:
    """The losses, and what is left of the differences."""
    optimizer = adamw([*parts.values.values(), *frozen.head()], parts.gates(), GATE_RATE)
    losses = train(
        optimizer,
        range(OPEN_STEPS),
        lambda step: (frozen.loss(parts.weights(step)), PENALTY * parts.expected_count()),
    )
    differences, masks = parts.pruned()
    for key, values in parts.values.items():
        values.data = differences[key] * masks[key]
    fixed = {key: (lambda key=key: frozen.backbone[key] + parts.values[key] * masks[key]) for key in masks}
    later = lambda _: (frozen.loss({key: weight() for key, weight in fixed.items()}), 0)
    optimizer.zero_grad()
    for gates in parts.gates():
        gates.requires_grad_(False)
    losses += train(optimizer, range(OPEN_STEPS, STEPS), later)
    left = {}
    for key, mask in masks.items():
        places = mask.flatten().nonzero().flatten()
        if len(places) > 0:
            left[f"{key}.diff_indices"] = places.int()
            left[f"{key}.diff_values"] = parts.values[key].detach().flatten()[places].float()
    return losses, left


def case(name: str, structured: bool) -> dict:
    frozen = Frozen()
    parts = Differences(frozen, structured)
    loss64 = frozen.loss(parts.weights(0))
    (loss64 + PENALTY * parts.expected_count()).backward()
    gradients = {}
    for key in filter(lambda key: key.startswith(STORED), parts.values):
        gradients[f"{key}.diff_values"] = parts.values[key].grad.float()
        gradients[f"{key}.diff_alpha"] = parts.alphas[key].grad.float()
        if structured:
            gradients[f"{key}.diff_group_alpha"] = parts.groups[key].grad.float()
    if structured:
        save_file(gradients, PLACE / "gradients.safetensors")
    for parameter in [*parts.values.values(), *parts.gates(), *frozen.head()]:
        parameter.grad = None
    logits64 = frozen.logits(parts.weights(None)).detach()
    losses64, left = steps(frozen, parts)
    save_file(left, PLACE / f"{name}.safetensors")
    values = {"loss64": numbers(loss64.detach()), "logits64": numbers(logits64), "losses64": losses64}
    return {"name": name, "structured": structured, **values}


def main() -> None:
    deterministic()
    PLACE.mkdir(exist_ok=True)
    cases = [case("structured", True), case("unstructured", False)]
    about = {"versions": versions(), "sequences": batch(), "labels": LABELS, "openSteps": OPEN_STEPS}
    settings = {"learningRate": LEARNING_RATE, "weightDecay": DECAY, "penalty": PENALTY, "gateRate": GATE_RATE}
    write_json("diff/cases.json", about | settings | {"sparsity": SPARSITY, "cases": cases})


if __name__ == "__main__":
    main()
