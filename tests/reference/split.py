# Selective fine-tuning written a second way, as a check on the masked mode: one sequence at a time, without padding,
# the selected positions with a graph and all others without.
import torch
from torch.nn import functional
from transformers import BertForSequenceClassification


def split_logits(model: BertForSequenceClassification, batch: list[dict], pooling: str, selected: list[list[int]]):
    rows = [pooled(model, sequence, pooling, chosen) for sequence, chosen in zip(batch, selected)]
    return model.classifier(torch.tanh(model.bert.pooler.dense(torch.stack(rows))))


def pooled(model, sequence: dict, pooling: str, chosen: list[int]) -> torch.Tensor:
    others = [position for position in range(len(sequence["inputIds"])) if position not in chosen]
    with_graph = embed(model, sequence, chosen)
    with torch.no_grad():
        without = embed(model, sequence, others)
    for layer in model.bert.encoder.layer:
        with torch.no_grad():
            constant = project(layer, without)
        keys_values = [torch.cat(pair) for pair in zip(project(layer, with_graph), constant)]
        with torch.no_grad():
            without = transform(layer, without, *keys_values)
        with_graph = transform(layer, with_graph, *keys_values)
    return with_graph[0] if pooling == "cls" else with_graph.mean(0)


def embed(model, sequence: dict, positions: list[int]) -> torch.Tensor:
    embeddings = model.bert.embeddings
    ids = torch.tensor(sequence["inputIds"])[positions]
    types = torch.tensor(sequence["tokenTypeIds"])[positions]
    return embeddings.LayerNorm(
        embeddings.word_embeddings(ids)
        + embeddings.token_type_embeddings(types)
        + embeddings.position_embeddings(torch.tensor(positions, dtype=torch.long))
    )


def project(layer, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.attention.self.key(hidden), layer.attention.self.value(hidden)


def transform(layer, hidden: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """One post-norm layer for the rows of `hidden`, whose queries attend to all keys."""
    size = layer.attention.self.attention_head_size
    projected = (layer.attention.self.query(hidden), keys, values)
    query, key, value = (rows.unflatten(-1, (-1, size)).transpose(0, 1) for rows in projected)
    context = torch.softmax(query @ key.transpose(1, 2) / size**0.5, -1) @ value
    attended = layer.attention.output.dense(context.transpose(0, 1).flatten(1))
    hidden = layer.attention.output.LayerNorm(attended + hidden)
    inner = functional.gelu(layer.intermediate.dense(hidden))
    return layer.output.LayerNorm(layer.output.dense(inner) + hidden)
