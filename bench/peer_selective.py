# Selective fine-tuning from its paper (Simoulin et al. 2023) in plain PyTorch, around transformers' BERT; with --lora by
# PEFT's LoRA.
import argparse
from typing import NamedTuple

import torch
from peft import get_peft_model
from torch.nn import functional
from transformers import BertForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutput

from peer_common import parse, random_bert, serve
from peer_lora import lora_config


class Group(NamedTuple):
    """Positions of each sequence, `[B, n]`, and which of them are tokens and no padding."""

    positions: torch.Tensor
    is_token: torch.Tensor


def split(is_token: torch.Tensor, k: int) -> tuple[Group, Group]:
    """The first position and up to k - 1 others of each sequence, at random, padding last; and the rest."""
    order = torch.rand(is_token.shape).masked_fill(~is_token, 2)
    order[:, 0] = -1
    groups = order.argsort(1).split([min(k, order.shape[1]), max(order.shape[1] - k, 0)], 1)
    first, second = (Group(positions, is_token.gather(1, positions)) for positions in groups)
    return first, second


class SelectiveBert(torch.nn.Module):
    """Trains on k positions of each sequence: the others are computed without gradients."""

    def __init__(self, classifier: BertForSequenceClassification, k: int) -> None:
        super().__init__()
        self.classifier = classifier
        self.k = k

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor):
        bert = self.classifier.bert
        selected, rest = split(attention_mask.bool(), self.k)
        # The keys of the selected come first.
        mask = torch.cat([selected.is_token, rest.is_token], 1)[:, None, None]
        hidden = self.run_layers(self.embed(input_ids, selected), rest, input_ids, None if mask.all() else mask)
        weights = selected.is_token / selected.is_token.sum(1, keepdim=True)
        mean = torch.einsum("bn,bnd->bd", weights.to(hidden.dtype), hidden)
        logits = self.classifier.classifier(self.classifier.dropout(bert.pooler(mean[:, None])))
        return SequenceClassifierOutput(loss=functional.cross_entropy(logits, labels), logits=logits)

    def embed(self, input_ids: torch.Tensor, group: Group) -> torch.Tensor:
        return self.classifier.bert.embeddings(
            input_ids=input_ids.gather(1, group.positions), position_ids=group.positions
        )

    def run_layers(self, selected, rest: Group, input_ids, mask) -> torch.Tensor:
        layers = self.classifier.bert.encoder.layer
        with torch.no_grad():
            others = self.embed(input_ids, rest)
        for layer in layers:
            with torch.no_grad():
                constant = self.keys_values(layer, others)
            pairs = zip(self.keys_values(layer, selected), constant)
            keys, values = (torch.cat(pair, 2) for pair in pairs)
            if layer is not layers[-1]:
                with torch.no_grad():
                    others = self.transform(layer, others, keys, values, mask)
            selected = self.transform(layer, selected, keys, values, mask)
        return selected

    def keys_values(self, layer, hidden: torch.Tensor) -> list[torch.Tensor]:
        attention = layer.attention.self
        return [self.heads(attention, projection(hidden)) for projection in (attention.key, attention.value)]

    def transform(self, layer, hidden, keys, values, mask) -> torch.Tensor:
        """A layer for one group, whose queries attend to all keys."""
        attention = layer.attention.self
        queries = self.heads(attention, attention.query(hidden))
        dropout = attention.dropout.p if self.training else 0.0
        context = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, dropout_p=dropout)
        attended = layer.attention.output(context.transpose(1, 2).flatten(2), hidden)
        return layer.output(layer.intermediate(attended), attended)

    @staticmethod
    def heads(attention, rows: torch.Tensor) -> torch.Tensor:
        return rows.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)


def selective_bert(arguments: argparse.Namespace) -> SelectiveBert:
    model = random_bert(arguments)
    if arguments.lora:
        # Inserts into the model itself. The pooler trains too: its input is a mean here.
        get_peft_model(model, lora_config(modules_to_save=["pooler", "classifier"]))
    return SelectiveBert(model, arguments.k)


if __name__ == "__main__":
    serve(selective_bert, parse())
