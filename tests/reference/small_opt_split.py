# Selective fine-tuning of OPT written a second way, as a check on the masked mode: one sequence at a time, without
# padding, the selected positions with a graph and all others without, each query seeing the positions up to its own.
import torch

from small_opt import Opt, head


def split_logits(model: Opt, batch: list[dict], pooling: str, selected: list[list[int]]) -> torch.Tensor:
    rows = [pooled(model, sequence, pooling, chosen) for sequence, chosen in zip(batch, selected)]
    return head(model, torch.stack(rows), pooling)


def pooled(model: Opt, sequence: dict, pooling: str, chosen: list[int]) -> torch.Tensor:
    decoder = model.model.decoder
    others = [position for position in range(len(sequence["inputIds"])) if position not in chosen]
    positions = torch.tensor(chosen + others)
    with_graph = embed(decoder, sequence, chosen)
    with torch.no_grad():
        without = embed(decoder, sequence, others)
    for layer in decoder.layers:
        with torch.no_grad():
            constant = project(layer, without)
        keys_values = [torch.cat(pair) for pair in zip(project(layer, with_graph), constant)]
        with torch.no_grad():
            without = transform(layer, without, positions[len(chosen) :], positions, *keys_values)
        with_graph = transform(layer, with_graph, positions[: len(chosen)], positions, *keys_values)
    hidden = with_graph if decoder.final_layer_norm is None else decoder.final_layer_norm(with_graph)
    hidden = hidden if decoder.project_out is None else decoder.project_out(hidden)
    return hidden.mean(0) if pooling == "mean" else hidden[-1]


def embed(decoder, sequence: dict, positions: list[int]) -> torch.Tensor:
    positions = torch.tensor(positions, dtype=torch.long)
    tokens = decoder.embed_tokens(torch.tensor(sequence["inputIds"])[positions])
    tokens = tokens if decoder.project_in is None else decoder.project_in(tokens)
    return tokens + decoder.embed_positions.weight[positions + 2]


def before(layer, norm, hidden: torch.Tensor) -> torch.Tensor:
    return norm(hidden) if layer.do_layer_norm_before else hidden


def after(layer, norm, hidden: torch.Tensor) -> torch.Tensor:
    return hidden if layer.do_layer_norm_before else norm(hidden)


def project(layer, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    hidden = before(layer, layer.self_attn_layer_norm, hidden)
    return layer.self_attn.k_proj(hidden), layer.self_attn.v_proj(hidden)


def transform(layer, hidden, at: torch.Tensor, positions: torch.Tensor, keys, values) -> torch.Tensor:
    """One layer for the rows of `hidden`, which are at the positions `at`; `positions` are those of all keys."""
    size = layer.self_attn.head_dim
    projected = (layer.self_attn.q_proj(before(layer, layer.self_attn_layer_norm, hidden)), keys, values)
    query, key, value = (rows.unflatten(-1, (-1, size)).transpose(0, 1) for rows in projected)
    scores = (query @ key.transpose(1, 2) / size**0.5).masked_fill(positions > at.unsqueeze(1), float("-inf"))
    context = (torch.softmax(scores, -1) @ value).transpose(0, 1).flatten(1)
    hidden = after(layer, layer.self_attn_layer_norm, hidden + layer.self_attn.out_proj(context))
    inner = torch.relu(layer.fc1(before(layer, layer.final_layer_norm, hidden)))
    return after(layer, layer.final_layer_norm, hidden + layer.fc2(inner))
