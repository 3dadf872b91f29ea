# torch.optim.AdamW over 20 steps, with and without weight decay, under transformers' linear schedule.
import torch
from transformers import get_linear_schedule_with_warmup

from fixtures import deterministic, numbers, versions, write_json

SHAPES, DECAYED = [[4, 3], [7], [2, 2, 2]], [True, False, True]
STEPS, WARMUP, LEARNING_RATE = 20, 5, 0.01
BETAS, EPSILON, WEIGHT_DECAY = (0.9, 0.999), 1e-8, 0.01


def trajectory(initial: list, gradients: list[list], fused: bool) -> tuple[list, list]:
    """The learning rate of each step, and the parameters after it."""
    parameters = [value.clone().requires_grad_() for value in initial]
    groups = [
        {"params": [p for p, decayed in zip(parameters, DECAYED) if decayed], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p, decayed in zip(parameters, DECAYED) if not decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, fused=fused)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    rates, after = [], []
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient.clone()
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        after.append([numbers(parameter.detach()) for parameter in parameters])
    return rates, after


def main() -> None:
    deterministic()
    initial = [torch.randn(shape) for shape in SHAPES]
    gradients = [[torch.randn(shape) * 10 ** (-step % 4) for shape in SHAPES] for step in range(STEPS)]
    rates, default = trajectory(initial, gradients, fused=False)
    _, fused = trajectory(initial, gradients, fused=True)
    write_json(
        "adamw.json",
        {
            "versions": versions(),
            "shapes": SHAPES,
            "decayed": DECAYED,
            "learningRate": LEARNING_RATE,
            "warmupSteps": WARMUP,
            "betas": BETAS,
            "epsilon": EPSILON,
            "weightDecay": WEIGHT_DECAY,
            "initial": [numbers(value) for value in initial],
            "steps": [
                {"learningRate": rate, "gradients": [numbers(g) for g in step], "parameters": after, "fused": f}
                for rate, step, after, f in zip(rates, gradients, default, fused)
            ],
        },
    )


if __name__ == "__main__":
    main()
