# What the peers share: settings, model, batch, and a training step for each line on standard input.
import argparse
import json
import sys
import time
from typing import Callable

import torch
from transformers import BertConfig, BertForSequenceClassification

from count_bytes import ByteCounter

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def parse() -> argparse.Namespace:
    """What a peer is told; the default size is BERT-base."""
    parser = argparse.ArgumentParser(description="For each line on standard input: a training step, printed as JSON.")
    for name, default in {"layers": 12, "hidden": 768, "heads": 12, "intermediate": 3072, "threads": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--lengths", type=json.loads, help="of each sequence, a JSON list; instead of the two above")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of weights, activations and states")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--k", type=int, default=16, help="selected positions of a sequence, where they are selected")
    parser.add_argument("--lora", action="store_true", help="with LoRA, where that is a choice")
    return parser.parse_args()


def random_bert(arguments: argparse.Namespace) -> BertForSequenceClassification:
    config = BertConfig(
        num_hidden_layers=arguments.layers,
        hidden_size=arguments.hidden,
        num_attention_heads=arguments.heads,
        intermediate_size=arguments.intermediate,
        num_labels=2,
        use_cache=False,
        attn_implementation="sdpa",
    )
    model = BertForSequenceClassification(config)
    if arguments.checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    return model


def padded_batch(arguments: argparse.Namespace) -> dict[str, torch.Tensor]:
    """The same tokens as Fewtune's, padded to the longest, as transformers' collators do."""
    lengths = torch.tensor(arguments.lengths or [arguments.length] * arguments.batch_size)[:, None]
    rows, positions = torch.arange(len(lengths))[:, None], torch.arange(int(lengths.max()))
    attention_mask = positions < lengths
    return {
        "input_ids": (1000 + (rows * 1531 + positions * 97) % 29_000) * attention_mask,
        "attention_mask": attention_mask.long(),
        "labels": rows[:, 0] % 2,
    }


def step(model, optimizer, batch: dict[str, torch.Tensor], counter: ByteCounter) -> dict[str, float]:
    """One step: seconds of its parts, and bytes."""
    counter.reset_peak()
    resting, start = counter.live(), time.perf_counter()
    loss = model(**batch).loss
    forwarded, activations = time.perf_counter(), counter.live() - resting
    loss.backward()
    del loss
    accumulated = time.perf_counter()
    optimizer.step()
    optimizer.zero_grad()
    return {
        "forward": forwarded - start,
        "backward": accumulated - forwarded,
        "optimizer": time.perf_counter() - accumulated,
        "restingBytes": resting,
        "activationBytes": activations,
        "peakBytes": counter.peak(),
    }


def serve(create: Callable[[argparse.Namespace], torch.nn.Module], arguments: argparse.Namespace) -> None:
    """Makes the model, and then a step for each line, until standard input ends."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    counter = ByteCounter()
    model = create(arguments).to(DTYPES[arguments.dtype]).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-5, fused=True)
    batch = padded_batch(arguments)
    for _ in sys.stdin:
        print(json.dumps(step(model, optimizer, batch, counter)), flush=True)
