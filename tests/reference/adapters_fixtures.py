# Adapters and Compacter written out in PyTorch, on the tiny BERT and OPT: logits, gradients, and twenty steps.
#
# Houlsby et al. 2019, Pfeiffer et al. 2020 (MAD-X), Mahabadi et al. 2021. Dropout, which comes before, is off.
import shutil
from functools import partial

import torch
from safetensors.torch import save_file
from torch import nn

import small_bert
import small_opt
from fixtures import FIXTURES, deterministic, numbers, versions, write_json
from small_bert import DECAY, loss_of

PLACE = FIXTURES / "adapters"
LENGTHS, LABELS = [5, 11, 3, 8], [2, 0, 1, 1]
STEPS, LEARNING_RATE = 20, 1e-3
HEADS = ("bert.pooler", "classifier", "score")
INITIAL = {"seed": 11, "deviation": 0.01, "count": 200}


class PHM(nn.Module):
    """x W^T + b, with W the sum of the Kronecker products of A_i and s_i t_i^T."""

    def __init__(self, slow: nn.Parameter, ins: int, outs: int, rank: int):
        super().__init__()
        n = len(slow)
        self.s = nn.Parameter(torch.zeros(n, outs // n, rank))
        self.t = nn.Parameter(torch.zeros(n, rank, ins // n))
        self.bias = nn.Parameter(torch.zeros(outs))
        self.slow = lambda: slow

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = sum(torch.kron(a, s @ t) for a, s, t in zip(self.slow(), self.s, self.t))
        return x @ weight.T + self.bias


class Adapter(nn.Module):
    """h + up(f(down(read)))."""

    def __init__(self, down: nn.Module, f, up: nn.Module):
        super().__init__()
        self.down, self.f, self.up = down, f, up

    def forward(self, h: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        return h + self.up(self.f(self.down(read)))


def bert_output(part: nn.Module, adapter: Adapter, is_pfeiffer: bool, h: torch.Tensor, x: torch.Tensor):
    """What BertSelfOutput and BertOutput do, with an adapter."""
    h = part.dropout(part.dense(h))
    return part.LayerNorm(adapter(h, part.LayerNorm(h + x) if is_pfeiffer else h) + x)


def into_bert(model, index: int, make, is_pfeiffer: bool) -> None:
    layer = model.bert.encoder.layer[index]
    ends = {"output_end": layer.output} if is_pfeiffer else {
        "attention_end": layer.attention.output,
        "output_end": layer.output,
    }
    for name, part in ends.items():
        layer.add_module(name, nn.ModuleDict({"adapter": make()}))
        part.forward = partial(bert_output, part, layer.get_submodule(name).adapter, is_pfeiffer)


def into_opt(model, index: int, make, is_pfeiffer: bool) -> None:
    """A pre-norm layer: what the feed-forward begins from goes into its norm, and no norm follows the sum."""
    layer, residual = model.model.decoder.layers[index], {}
    ends = {"output_end": layer.fc2} if is_pfeiffer else {
        "attention_end": layer.self_attn.out_proj,
        "output_end": layer.fc2,
    }
    layer.final_layer_norm.register_forward_pre_hook(lambda part, inputs: residual.update(x=inputs[0]))
    for name, part in ends.items():
        layer.add_module(name, nn.ModuleDict({"adapter": make()}))
        adapter = layer.get_submodule(name).adapter
        part.register_forward_hook(
            lambda part, inputs, h, adapter=adapter: adapter(h, h + residual["x"] if is_pfeiffer else h)
        )


def adapted(base: str, placement: str = "houlsby", drop: int = 0, make=None, **sizes):
    """The model and what it trains, by Fewtune's keys; every trained value is other than where it starts from."""
    kind, into = (small_bert, into_bert) if base == "small_bert" else (small_opt, into_opt)
    model = kind.load(kind.FOLDER)
    slow = nn.Parameter(torch.zeros(3 * (sizes["n"],))) if make is compacter else None
    for index in range(drop, model.config.num_hidden_layers):
        into(model, index, partial(make, model.config.hidden_size, slow, **sizes), placement == "pfeiffer")
    trained = {
        name: each
        for name, each in model.named_parameters()
        if name.startswith(HEADS) or "adapter" in name or is_norm(name, placement, drop)
    }
    trained |= {} if slow is None else {"compacter.A": slow}
    generator = torch.Generator().manual_seed(31)
    for parameter in trained.values():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    return model, trained


def is_norm(name: str, placement: str, drop: int) -> bool:
    """Of a layer that has adapters."""
    parts = name.split(".")
    index = next((int(part) for part in parts if part.isdigit()), -1)
    return placement == "houlsby" and index >= drop and "norm" in parts[-2].lower()


def bottleneck(hidden: int, slow: None, size: int, f) -> Adapter:
    return Adapter(nn.Linear(hidden, size), f, nn.Linear(size, hidden))


def compacter(hidden: int, slow: nn.Parameter, size: int, n: int, rank: int) -> Adapter:
    return Adapter(PHM(slow, hidden, size, rank), nn.functional.gelu, PHM(slow, size, hidden, rank))


def logits_of(base: str, model, batch: list[dict]) -> torch.Tensor:
    kind = small_bert if base == "small_bert" else small_opt
    return model(**kind.collate(batch)).logits


def step(base: str, model, batch: list[dict]) -> torch.Tensor:
    loss = loss_of(logits_of(base, model, batch), LABELS)
    loss.backward()
    return loss.detach()


def train(base: str, model, trained: dict, batch: list[dict]) -> list:
    """The losses of the steps; the parameters are those after them."""
    decayed = {True: [], False: []}
    for parameter in trained.values():
        decayed[parameter.ndim > 1].append(parameter)
    groups = [{"params": decayed[True], "weight_decay": DECAY}, {"params": decayed[False], "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=LEARNING_RATE), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses.append(numbers(step(base, model, batch)))
        optimizer.step()
    return losses


def save(name: str, what: str, tensors: dict[str, torch.Tensor]) -> None:
    (PLACE / name).mkdir(parents=True, exist_ok=True)
    named = {key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}
    save_file(named, PLACE / name / f"{what}.safetensors")


def case(name: str, method: str, options: dict, base: str, batch: list[dict], **shape) -> dict:
    model, trained = adapted(base, **shape)
    save(name, "weights", trained)
    model.double()
    for parameter in trained.values():
        parameter.data = parameter.data.double()
    logits64 = logits_of(base, model, batch)
    loss64 = step(base, model, batch)
    save(name, "gradients", {key: parameter.grad for key, parameter in trained.items()})
    for parameter in trained.values():
        parameter.grad = None
    losses64 = train(base, model, trained, batch)
    save(name, "after", trained)
    about = {"name": name, "method": method, "options": options, "base": base}
    return about | {"logits64": numbers(logits64), "loss64": numbers(loss64), "losses64": losses64}


def initial() -> dict:
    """Values of PyTorch's truncated normal distribution, as Houlsby et al. have adapters begin."""
    deviation = INITIAL["deviation"]
    tensor = torch.empty(INITIAL["count"])
    generator = torch.Generator().manual_seed(INITIAL["seed"])
    nn.init.trunc_normal_(tensor, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator)
    return INITIAL | {"values": numbers(tensor)}


def main() -> None:
    deterministic()
    shutil.rmtree(PLACE, ignore_errors=True)
    bert = small_bert.sequences(LENGTHS, torch.Generator().manual_seed(13))
    opt = small_opt.sequences(LENGTHS, torch.Generator().manual_seed(13))
    gelu, relu = nn.functional.gelu, nn.functional.relu
    pfeiffer = {"adapterSize": 5, "adapterPlacement": "pfeiffer", "adapterActivation": "relu"}
    drop = {"adapterSize": 4, "adapterDrop": 2}
    on_bert, on_opt = {"base": "small_bert", "batch": bert}, {"base": "small_opt", "batch": opt}
    kronecker = {"compacterSize": 8, "compacterN": 4, "compacterRank": 2}
    houlsby_shape = {"make": bottleneck, "size": 6, "f": gelu}
    pfeiffer_shape = {"make": bottleneck, "size": 5, "f": relu, "placement": "pfeiffer"}
    compacter_shape = {"make": compacter, "size": 8, "n": 4, "rank": 2}
    cases = [
        case("houlsby", "adapters", {"adapterSize": 6}, **on_bert, **houlsby_shape),
        case("pfeiffer", "adapters", pfeiffer, **on_bert, **pfeiffer_shape),
        case("drop", "adapters", drop, **on_bert, make=bottleneck, size=4, f=gelu, drop=2),
        case("compacter", "compacter", kronecker, **on_bert, **compacter_shape),
        case("opt_houlsby", "adapters", {"adapterSize": 6}, **on_opt, **houlsby_shape),
        case("opt_pfeiffer", "adapters", pfeiffer, **on_opt, **pfeiffer_shape),
        case("opt_compacter", "compacter", kronecker, **on_opt, **compacter_shape),
    ]
    about = {"versions": versions(), "sequences": {"small_bert": bert, "small_opt": opt}, "labels": LABELS}
    settings = {"learningRate": LEARNING_RATE, "weightDecay": DECAY, "initial": initial()}
    write_json("adapters/cases.json", about | settings | {"cases": cases})


if __name__ == "__main__":
    main()
