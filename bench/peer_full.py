# Full fine-tuning with Hugging Face transformers: time and memory of a step, the peer of Fewtune's own benchmark.
import argparse
import json
import statistics
import time

import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from count_bytes import ByteCounter


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A BERT with random weights; the default size is BERT-base.")
    for name, default in {
        "layers": 12,
        "hidden": 768,
        "heads": 12,
        "intermediate": 0,
        "batch-size": 32,
        "length": 128,
        "steps": 5,
        "threads": 2,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def create(arguments: argparse.Namespace) -> torch.nn.Module:
    config = BertConfig(
        num_hidden_layers=arguments.layers,
        hidden_size=arguments.hidden,
        num_attention_heads=arguments.heads,
        intermediate_size=arguments.intermediate or 4 * arguments.hidden,
        num_labels=2,
    )
    return AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa").train()


def batch(arguments: argparse.Namespace, vocabulary: int) -> dict[str, torch.Tensor]:
    shape = (arguments.batch_size, arguments.length)
    return {
        "input_ids": torch.randint(1000, vocabulary, shape),
        "attention_mask": torch.ones(shape, dtype=torch.long),
        "labels": torch.randint(0, 2, shape[:1]),
    }


def step(model, optimizer, inputs: dict, counter: ByteCounter) -> tuple[float, int]:
    """Seconds of one step, and the bytes that its forward pass leaves live for the backward pass."""
    start = time.perf_counter()
    optimizer.zero_grad()
    before = counter.live()
    loss = model(**inputs).loss
    activations = counter.live() - before
    loss.backward()
    optimizer.step()
    return time.perf_counter() - start, activations


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    counter = ByteCounter()
    model = create(arguments)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)
    inputs = batch(arguments, model.config.vocab_size)

    step(model, optimizer, inputs, counter)  # makes the optimizer's state
    counter.reset_peak()
    times, activations = zip(*(step(model, optimizer, inputs, counter) for _ in range(arguments.steps)))
    print(json.dumps(vars(arguments) | {
        "torch": torch.__version__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "stepSeconds": round(statistics.median(times), 4),
        "activationBytes": max(activations),
        "peakBytes": counter.peak(),
    }))


if __name__ == "__main__":
    main()
