# A tiny OPT with the standard head and one on the mean, and the semantics of fine-tuning it in masked mode.
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from transformers import OPTConfig, OPTForSequenceClassification

from fixtures import FIXTURES
from small_bert import mean, membership

FOLDER = FIXTURES / "small_opt"
VOCABULARY, MAXIMUM_LENGTH, PADDING = 60, 32, 1


class Opt(OPTForSequenceClassification):
    """The standard model, with Fewtune's head on the mean beside its own."""

    def __init__(self, config: OPTConfig):
        super().__init__(config)
        size = config.word_embed_proj_dim
        self.mean_head = nn.ModuleDict({"dense": nn.Linear(size, size), "out_proj": nn.Linear(size, self.num_labels)})
        self.post_init()


def create(num_labels: int, **shape) -> Opt:
    """Weights large enough that no gradient is tiny, and no bias or norm at the value it would start from."""
    config = OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=4,
        ffn_dim=32,
        max_position_embeddings=MAXIMUM_LENGTH,
        dropout=0.1,
        attention_dropout=0.1,
        pad_token_id=PADDING,
        num_labels=num_labels,
        **shape,
    )
    generator = torch.Generator().manual_seed(20240 + num_labels)
    model = Opt(config)
    for name, parameter in model.named_parameters():
        noise = 0.3 * torch.randn(parameter.shape, generator=generator)
        parameter.data = noise + 1 if name.endswith("layer_norm.weight") else noise
    return model


def load(folder, dtype=torch.float32) -> Opt:
    """Without dropout (evaluation mode), with gradients; OPT's eager attention would round softmax to float32."""
    return Opt.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32).to(dtype).eval()


def sequences(lengths: list[int], generator: torch.Generator) -> list[dict]:
    """Random token ids without the padding; OPT has no token types."""
    return [
        {
            "inputIds": torch.randint(PADDING + 1, VOCABULARY, (length,), generator=generator).tolist(),
            "tokenTypeIds": [0] * length,
        }
        for length in lengths
    ]


def choose(lengths: list[int], k: int, anchor: int, generator: torch.Generator) -> list[list[int]]:
    """The anchor (0 for the first position, -1 for the last) and k - 1 others of each sequence, in ascending order."""
    rows = [list(range(length)) for length in lengths]
    anchors = [row.pop(anchor) for row in rows]
    picks = [torch.randperm(len(row), generator=generator)[: k - 1].tolist() for row in rows]
    return [sorted([first, *(row[pick] for pick in some)]) for first, row, some in zip(anchors, rows, picks)]


def collate(batch: list[dict]) -> dict[str, torch.Tensor]:
    def pad(rows: list[list[int]], value: int) -> torch.Tensor:
        rows = [torch.tensor(row) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    ids = [sequence["inputIds"] for sequence in batch]
    return {"input_ids": pad(ids, PADDING), "attention_mask": pad([[1] * len(row) for row in ids], 0)}


@contextmanager
def masked(model: Opt, mask: torch.Tensor):
    """The forward pass is the ordinary one; gradients stop at unselected positions of keys, values, hidden states."""

    def stop(hidden: torch.Tensor) -> None:
        hidden.register_hook(lambda gradient: gradient * mask.unsqueeze(-1))

    layers = model.model.decoder.layers
    handles = [layers[0].register_forward_pre_hook(lambda module, inputs: stop(inputs[0]))]
    for layer in layers:
        for module in (layer, layer.self_attn.k_proj, layer.self_attn.v_proj):
            handles.append(module.register_forward_hook(lambda module, inputs, output: stop(output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def head(model: Opt, pooled: torch.Tensor, pooling: str) -> torch.Tensor:
    mean_head = model.mean_head
    return mean_head.out_proj(torch.tanh(mean_head.dense(pooled))) if pooling == "mean" else model.score(pooled)


def logits_of(model: Opt, batch: list[dict], pooling: str, selected: list[list[int]] | None) -> torch.Tensor:
    """Logits [batch, labels] of full (selected = None) or selective fine-tuning."""
    inputs = collate(batch)
    valid = inputs["attention_mask"].bool()
    mask = valid if selected is None else membership(selected, valid.shape)
    with nullcontext() if selected is None else masked(model, mask):
        hidden = model.model(**inputs).last_hidden_state
    last = hidden[torch.arange(len(batch)), valid.sum(1) - 1]
    return head(model, mean(hidden, mask) if pooling == "mean" else last, pooling)


def gradients_of(model: Opt, loss: torch.Tensor, pooling: str) -> dict[str, torch.Tensor]:
    """Of the parameters that the head on `pooling` has."""
    other = "score." if pooling == "mean" else "mean_head."
    named = {name: each for name, each in model.named_parameters() if not name.startswith(other)}
    return dict(zip(named, torch.autograd.grad(loss, named.values())))
