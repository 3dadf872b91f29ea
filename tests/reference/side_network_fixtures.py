# Networks beside the tiny BERT, in plain PyTorch from the papers' equations: what they begin from, logits, gradients, steps.
import shutil

import torch
from safetensors.torch import save_file
from torch import nn
from transformers.models.bert.modeling_bert import BertLayer

from fixtures import FIXTURES, deterministic, numbers, versions, write_json
from small_bert import DECAY, FOLDER, collate, load, loss_of, sequences

PLACE = FIXTURES / "side_networks"
LENGTHS, LABELS = [5, 11, 3, 8], [2, 0, 1, 1]
STEPS, LEARNING_RATE = 20, 1e-3


def run(layer: BertLayer, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    output = layer(hidden, mask)
    return output[0] if isinstance(output, tuple) else output


class Gate(nn.Module):
    """sigmoid(alpha / temperature), alpha from 0."""

    def __init__(self, temperature: float):
        super().__init__()
        self.temperature, self.alpha = temperature, nn.Parameter(torch.zeros(1))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        share = torch.sigmoid(self.alpha / self.temperature)
        return share * first + (1 - share) * second


class Rung(nn.Module):
    def __init__(self, size: int, width: int):
        super().__init__()
        self.down, self.gate = nn.Linear(size, width), Gate(0.1)


class Ladder(nn.Module):
    """Ladder side-tuning (Sung et al. 2022, section 3.2) beside the layers of these indices."""

    def __init__(self, model, reduction: int, places: list[int]):
        super().__init__()
        config = type(model.config).from_dict(model.config.to_dict())
        size, config._attn_implementation = config.hidden_size, "eager"
        config.hidden_size = width = size // reduction
        config.intermediate_size //= reduction
        self.places = places
        self.down, self.up = nn.Linear(size, width), nn.Linear(width, size)
        self.layer = nn.ModuleList(BertLayer(config) for _ in places)
        self.ladder = nn.ModuleList(Rung(size, width) for _ in places)
        prune(model.bert.encoder.layer, self.layer, reduction, places, config.num_attention_heads)

    def forward(self, states: list[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        side = self.down(states[0])
        for place, layer, rung in zip(self.places, self.layer, self.ladder):
            side = run(layer, rung.gate(side, rung.down(states[place + 1])), mask)
        return self.up(side)


class LowestLayers(nn.Module):
    """Side-tuning (Zhang et al. 2020): alpha B(x) + (1 - alpha) S(x), S being copies of the lowest layers."""

    def __init__(self, model, count: int):
        super().__init__()
        self.layer, self.gate = nn.ModuleList(BertLayer(model.config) for _ in range(count)), Gate(1)
        self.layer.load_state_dict(model.bert.encoder.layer[:count].state_dict())

    def forward(self, states: list[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        side = states[0]
        for layer in self.layer:
            side = run(layer, side, mask)
        return self.gate(states[-1], side)


@torch.no_grad()
def prune(wide, narrow, reduction: int, places: list[int], heads: int) -> None:
    """Rows by their L1 norms: the same hidden features in every layer, and as many features of each head."""

    def norms(linear: nn.Linear) -> torch.Tensor:
        return linear.weight.abs().sum(1)

    def largest(values: torch.Tensor) -> torch.Tensor:
        return values.topk(len(values) // reduction).indices.sort().values

    hidden = largest(sum(norms(layer.attention.output.dense) + norms(layer.output.dense) for layer in wide))
    for layer, place in zip(narrow, places):
        source = wide[place]
        attention = source.attention.self
        of_heads = (norms(attention.query) + norms(attention.key) + norms(attention.value)).view(heads, -1)
        size = of_heads.shape[1]
        features = torch.cat([head * size + largest(values) for head, values in enumerate(of_heads)])
        inner = largest(norms(source.intermediate.dense))
        kept = {
            **{f"attention.self.{name}": (features, hidden) for name in ("query", "key", "value")},
            "attention.output.dense": (hidden, features),
            "intermediate.dense": (inner, hidden),
            "output.dense": (hidden, inner),
        }
        for name, (rows, columns) in kept.items():
            to, origin = layer.get_submodule(name), source.get_submodule(name)
            to.weight.copy_(origin.weight[rows][:, columns])
            to.bias.copy_(origin.bias[rows])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            to, origin = layer.get_submodule(name), source.get_submodule(name)
            to.weight.copy_(origin.weight[hidden])
            to.bias.copy_(origin.bias[hidden])


CASES = {
    "lst": ({"lstReduction": 4}, lambda model: Ladder(model, 4, [0, 1, 2])),
    "lst_dropped": ({"lstReduction": 2, "lstLayers": 2}, lambda model: Ladder(model, 2, [0, 2])),
    "side": ({"sideLayers": 1}, lambda model: LowestLayers(model, 1)),
}


def trained(model) -> dict[str, nn.Parameter]:
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def logits_of(model, batch: list[dict]) -> torch.Tensor:
    """The backbone runs without a graph; the standard head reads what the side network gives."""
    inputs = collate(batch)
    with torch.no_grad():
        states = model.bert(**inputs, output_hidden_states=True).hidden_states
    hidden = states[0]
    mask = torch.zeros(hidden.shape[:2], dtype=hidden.dtype).masked_fill(inputs["attention_mask"] == 0, -torch.inf)
    read = model.bert.side_network(states, mask[:, None, None, :])
    return model.classifier(torch.tanh(model.bert.pooler.dense(read[:, 0])))


def step(model, batch: list[dict]) -> torch.Tensor:
    loss = loss_of(logits_of(model, batch), LABELS)
    loss.backward()
    return loss.detach()


def train(model, batch: list[dict]) -> list:
    """The losses of the steps; the parameters are those after them."""
    decayed = {True: [], False: []}
    for parameter in trained(model).values():
        decayed[parameter.ndim > 1].append(parameter)
    groups = [{"params": decayed[True], "weight_decay": DECAY}, {"params": decayed[False], "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=LEARNING_RATE), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses.append(numbers(step(model, batch)))
        optimizer.step()
    return losses


def save(name: str, tensors: dict[str, torch.Tensor]) -> None:
    save_file({key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}, PLACE / name)


def case(name: str, options: dict, create, batch: list[dict]) -> dict:
    torch.manual_seed(7)
    model = load(FOLDER)
    network = create(model).eval()
    for parameter in model.bert.parameters():
        parameter.requires_grad_(False)
    model.bert.pooler.requires_grad_(True)
    model.bert.side_network = network
    save(f"{name}_begin.safetensors", {f"bert.side_network.layer.{key}": each for key, each in network.layer.named_parameters()})
    generator = torch.Generator().manual_seed(31)
    for parameter in trained(model).values():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    save(f"{name}_weights.safetensors", trained(model))
    model = model.double()
    logits64 = logits_of(model, batch)
    loss64 = step(model, batch)
    save(f"{name}_gradients.safetensors", {key: parameter.grad for key, parameter in trained(model).items()})
    model.zero_grad()
    losses64 = train(model, batch)
    save(f"{name}_after.safetensors", trained(model))
    return {
        "name": name,
        "method": name.split("_")[0],
        "options": options,
        "logits64": numbers(logits64),
        "loss64": numbers(loss64),
        "losses64": losses64,
    }


def main() -> None:
    deterministic()
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    batch = sequences(LENGTHS, torch.Generator().manual_seed(13))
    cases = [case(name, options, create, batch) for name, (options, create) in CASES.items()]
    about = {"versions": versions(), "sequences": batch, "labels": LABELS}
    write_json(
        "side_networks/cases.json",
        about | {"learningRate": LEARNING_RATE, "weightDecay": DECAY, "cases": cases},
    )


if __name__ == "__main__":
    main()
