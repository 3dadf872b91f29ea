# A tiny BERT and the semantics of fine-tuning it: pooling, loss, and the masked mode that defines selective gradients.
from contextlib import contextmanager, nullcontext

import torch
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from fixtures import FIXTURES

FOLDER = FIXTURES / "small_bert"
VOCABULARY, MAXIMUM_LENGTH = 120, 64
DECAY, NO_DECAY = 0.01, ("bias", "LayerNorm")


def create(num_labels: int) -> BertForSequenceClassification:
    """Weights large enough that no gradient is tiny, and no bias or norm at the value it would start from."""
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=MAXIMUM_LENGTH,
        type_vocab_size=2,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        num_labels=num_labels,
    )
    generator = torch.Generator().manual_seed(20240 + num_labels)
    model = BertForSequenceClassification(config)
    for name, parameter in model.named_parameters():
        noise = 0.2 * torch.randn(parameter.shape, generator=generator)
        parameter.data = noise + 1 if name.endswith("LayerNorm.weight") else noise
    return model


def load(folder, dtype=torch.float32) -> BertForSequenceClassification:
    """The checkpoint without dropout (evaluation mode), with gradients."""
    model = BertForSequenceClassification.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    return model.to(dtype).eval()


def sequences(lengths: list[int], generator: torch.Generator) -> list[dict]:
    """Random token ids without the padding id 0, the second half of each sequence being of token type 1."""
    return [
        {
            "inputIds": torch.randint(1, VOCABULARY, (length,), generator=generator).tolist(),
            "tokenTypeIds": [int(position >= (length + 1) // 2) for position in range(length)],
        }
        for length in lengths
    ]


def choose(lengths: list[int], k: int, generator: torch.Generator) -> list[list[int]]:
    """The first position and k - 1 others of each sequence, in ascending order; all where there are at most k."""
    return [
        sorted([0, *(1 + torch.randperm(length - 1, generator=generator)[: k - 1]).tolist()]) for length in lengths
    ]


def collate(batch: list[dict]) -> dict[str, torch.Tensor]:
    def pad(rows: list[list[int]]) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)

    return {
        "input_ids": pad([sequence["inputIds"] for sequence in batch]),
        "token_type_ids": pad([sequence["tokenTypeIds"] for sequence in batch]),
        "attention_mask": pad([[1] * len(sequence["inputIds"]) for sequence in batch]),
    }


def membership(selected: list[list[int]], shape: torch.Size) -> torch.Tensor:
    """Boolean [batch, length]: true at the selected positions."""
    mask = torch.zeros(shape, dtype=torch.bool)
    for row, positions in enumerate(selected):
        mask[row, positions] = True
    return mask


@contextmanager
def masked(model: BertForSequenceClassification, mask: torch.Tensor):
    """The forward pass is the ordinary one; gradients stop at unselected positions of keys, values, hidden states."""

    def stop(module, inputs, output):
        output.register_hook(lambda gradient: gradient * mask.unsqueeze(-1))

    stopped = [model.bert.embeddings, *model.bert.encoder.layer]
    for layer in model.bert.encoder.layer:
        stopped += [layer.attention.self.key, layer.attention.self.value]
    handles = [module.register_forward_hook(stop) for module in stopped]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def head(model: BertForSequenceClassification, pooled: torch.Tensor) -> torch.Tensor:
    return model.classifier(torch.tanh(model.bert.pooler.dense(pooled)))


def logits_of(model, batch: list[dict], pooling: str, selected: list[list[int]] | None) -> torch.Tensor:
    """Logits [batch, labels] of full (selected = None) or selective fine-tuning."""
    inputs = collate(batch)
    mask = inputs["attention_mask"].bool() if selected is None else membership(selected, inputs["input_ids"].shape)
    with nullcontext() if selected is None else masked(model, mask):
        hidden = model.bert(**inputs).last_hidden_state
    return head(model, hidden[:, 0] if pooling == "cls" else mean(hidden, mask))


def loss_of(logits: torch.Tensor, labels: list) -> torch.Tensor:
    """Cross-entropy; mean squared error where there is one output."""
    if logits.shape[1] == 1:
        return functional.mse_loss(logits[:, 0], torch.tensor(labels, dtype=logits.dtype))
    return functional.cross_entropy(logits, torch.tensor(labels))


def gradients_of(model, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    names, parameters = zip(*model.named_parameters())
    return dict(zip(names, torch.autograd.grad(loss, parameters)))


def adamw(model: torch.nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """AdamW that decays neither biases nor the parameters of norms."""
    decayed = {True: [], False: []}
    for name, parameter in model.named_parameters():
        decayed[not any(part in name for part in NO_DECAY)].append(parameter)
    groups = [
        {"params": decayed[True], "weight_decay": DECAY},
        {"params": decayed[False], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.999), eps=1e-8)
