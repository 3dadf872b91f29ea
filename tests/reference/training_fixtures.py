# Twenty training steps of the tiny BERT, full and selective: the loss at every step.
import torch
from transformers import get_linear_schedule_with_warmup

from fixtures import deterministic, numbers, versions, write_json
from small_bert import DECAY, FOLDER, adamw, choose, load, logits_of, loss_of, sequences

STEPS, WARMUP, LEARNING_RATE, BATCH, K = 20, 2, 1e-3, 4, 4
LENGTHS = [3, 17, 9, 5, 12, 4, 21, 7, 14, 6, 2, 10]


def train(run: dict, examples: list[dict], dtype: torch.dtype) -> tuple[list[float], list]:
    """The learning rate and the loss of every step, dropout off."""
    model = load(FOLDER, dtype)
    optimizer = adamw(model, LEARNING_RATE)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    rates, losses = [], []
    for step in run["steps"]:
        batch = [examples[index] for index in step["batch"]]
        logits = logits_of(model, batch, run["pooling"], step["selected"])
        loss = loss_of(logits, [example["label"] for example in batch])
        optimizer.zero_grad()
        loss.backward()
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        losses.append(numbers(loss.detach()))
    return rates, losses


def fill(run: dict, examples: list[dict]) -> dict:
    rates, losses = train(run, examples, torch.float32)
    _, losses64 = train(run, examples, torch.float64)
    steps = zip(run["steps"], rates, losses, losses64)
    return run | {
        "steps": [step | {"learningRate": r, "loss": loss, "loss64": loss64} for step, r, loss, loss64 in steps]
    }


def main() -> None:
    deterministic()
    generator = torch.Generator().manual_seed(11)
    examples = [sequence | {"label": index % 3} for index, sequence in enumerate(sequences(LENGTHS, generator))]
    batches = [torch.randperm(len(examples), generator=generator)[:BATCH].tolist() for _ in range(STEPS)]

    def chosen(batch: list[int]) -> list[list[int]]:
        return choose([LENGTHS[index] for index in batch], K, generator)

    full = [{"batch": batch, "selected": None} for batch in batches]
    selective = [{"batch": batch, "selected": chosen(batch)} for batch in batches]
    runs = [
        {"name": "full", "pooling": "cls", "k": None, "steps": full},
        {"name": "selective", "pooling": "mean", "k": K, "steps": selective},
    ]
    write_json(
        "training.json",
        {
            "versions": versions(),
            "checkpoint": "small_bert",
            "learningRate": LEARNING_RATE,
            "warmupSteps": WARMUP,
            "betas": [0.9, 0.999],
            "epsilon": 1e-8,
            "weightDecay": DECAY,
            "examples": examples,
            "runs": [fill(run, examples) for run in runs],
        },
    )


if __name__ == "__main__":
    main()
