# What transformers computes with a tiny random checkpoint of every architecture: logits, loss, all gradients with the
# standard head and with the head on the mean, full and in masked mode; where it drops out, and how it starts a model.
import json
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from fixtures import deterministic, numbers
from small_bert import loss_of, mean, membership

VOCABULARY, PADDING, MAXIMUM_LENGTH = 320, 1, 48
LENGTHS, K = [3, 17, 8, 4, 12], 4
LABELS, TARGETS = [2, 0, 1, 2, 0], [0.5, -1.25, 2.0, 0.0, 3.75]
NAMES = ["ham", "spam", "other"]

COMMON = {"vocab_size": VOCABULARY, "pad_token_id": PADDING}
BERT_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    # All different, so that none can stand for another.
    "hidden_dropout_prob": 0.125,
    "attention_probs_dropout_prob": 0.25,
    "classifier_dropout": 0.375,
}
# RoBERTa's positions begin after the padding's.
ROBERTA = BERT_SIZES | {"max_position_embeddings": MAXIMUM_LENGTH + PADDING + 1, "type_vocab_size": 1}
OPT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "ffn_dim": 64,
    "max_position_embeddings": MAXIMUM_LENGTH,
    "dropout": 0.125,
    "attention_dropout": 0.25,
}
ARCHITECTURES = {
    "bert": ("bert", BERT_SIZES | {"max_position_embeddings": MAXIMUM_LENGTH}),
    "roberta": ("roberta", ROBERTA | {"hidden_act": "gelu_new", "layer_norm_eps": 1e-5}),
    "xlm-roberta": ("xlm-roberta", ROBERTA | {"hidden_act": "relu", "layer_norm_eps": 1e-5}),
    "distilbert": (
        "distilbert",
        {
            "dim": 32,
            "n_layers": 3,
            "n_heads": 4,
            "hidden_dim": 64,
            "max_position_embeddings": MAXIMUM_LENGTH,
            "dropout": 0.125,
            "attention_dropout": 0.25,
            "seq_classif_dropout": 0.375,
        },
    ),
    "opt": ("opt", OPT),
    "opt-350m": ("opt", OPT | {"do_layer_norm_before": False, "word_embed_proj_dim": 16, "activation_function": "gelu"}),
}
# The projections of keys and values, as the architectures call them.
STOPPED = {"key", "value", "k_lin", "v_lin", "k_proj", "v_proj"}


def configuration(name: str, **others):
    model_type, fields = ARCHITECTURES[name]
    return AutoConfig.for_model(model_type, **COMMON | fields | others)


def create(name: str, **others) -> nn.Module:
    """Weights large enough that no gradient is tiny, and no bias or norm at the value it would start from."""
    model = AutoModelForSequenceClassification.from_config(configuration(name, **others), attn_implementation="eager")
    randomize(model, 20240 + len(name))
    return model.eval()


def randomize(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = 0.2 * torch.randn(parameter.shape, generator=generator)
        parameter.data = noise + 1 if name.lower().endswith(("layernorm.weight", "layer_norm.weight")) else noise


def labelled(names: list[str]) -> dict:
    return {"id2label": dict(enumerate(names)), "label2id": {name: id for id, name in enumerate(names)}}


class Case:
    """A batch, and which of its positions are selected: of each sequence the head's own and others."""

    def __init__(self, name: str, model: nn.Module):
        generator = torch.Generator().manual_seed(7)
        self.causal = name.startswith("opt")
        self.types = getattr(model.config, "type_vocab_size", 1)
        self.ids = [torch.randint(PADDING + 1, VOCABULARY, (n,), generator=generator).tolist() for n in LENGTHS]
        picks = [torch.randperm(n - 1, generator=generator)[: K - 1].tolist() for n in LENGTHS]
        self.selected = {
            "mean": [sorted([0, *(1 + position for position in some)]) for some in picks],
            "standard": [
                sorted([n - 1, *some]) if self.causal else sorted([0, *(1 + position for position in some)])
                for n, some in zip(LENGTHS, picks)
            ],
        }

    def token_types(self) -> list[list[int]]:
        return [[int(self.types > 1 and position >= (n + 1) // 2) for position in range(n)] for n in LENGTHS]

    def inputs(self) -> dict[str, torch.Tensor]:
        def pad(rows: list[list[int]], value: int = 0) -> torch.Tensor:
            rows = [torch.tensor(row) for row in rows]
            return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

        mask = pad([[1] * len(row) for row in self.ids])
        inputs = {"input_ids": pad(self.ids, PADDING), "attention_mask": mask}
        return inputs | ({"token_type_ids": pad(self.token_types())} if self.types > 1 else {})


@contextmanager
def masked(model: nn.Module, mask: torch.Tensor):
    """The forward pass is the ordinary one; gradients stop at unselected positions of keys, values, hidden states."""

    def stop(hidden: torch.Tensor) -> None:
        hidden.register_hook(lambda gradient: gradient * mask.unsqueeze(-1))

    modules = dict(model.base_model.named_modules())
    [layers] = [module for module in modules.values() if isinstance(module, nn.ModuleList)]
    stopped = [module for name, module in modules.items() if name.rpartition(".")[2] in STOPPED]
    assert len(stopped) == 2 * len(layers)
    handles = [layers[0].register_forward_pre_hook(lambda module, inputs: stop(inputs[0]))]
    for module in [*layers, *stopped]:
        handles.append(module.register_forward_hook(lambda module, inputs, output: stop(output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def mean_head(model: nn.Module) -> nn.Module:
    size = getattr(model.config, "word_embed_proj_dim", model.config.hidden_size)
    head = nn.ModuleDict({"dense": nn.Linear(size, size), "out_proj": nn.Linear(size, model.config.num_labels)})
    randomize(head, 99)
    return head


def logits_of(model: nn.Module, head: nn.Module | None, case: Case, selected: list[list[int]] | None) -> torch.Tensor:
    """Of the model's own forward pass, or of a head on the mean over the selected (or all) positions."""
    inputs = case.inputs()
    valid = inputs["attention_mask"].bool()
    mask = valid if selected is None else membership(selected, valid.shape)
    with nullcontext() if selected is None else masked(model, mask):
        if head is None:
            return model(**inputs).logits
        hidden = model.base_model(**inputs).last_hidden_state
    return head["out_proj"](torch.tanh(head["dense"](mean(hidden, mask))))


def compute(model: nn.Module, head: nn.Module | None, case: Case, selected, labels: list) -> tuple[dict, dict]:
    """The logits and the loss, and every gradient by its key: those of the other head are left out."""
    logits = logits_of(model, head, case, selected)
    loss = loss_of(logits, labels)
    modules = {"": model} if head is None else {"": model, "mean_head.": head}
    named = {prefix + key: each for prefix, module in modules.items() for key, each in module.named_parameters()}
    gradients = dict(zip(named, torch.autograd.grad(loss, named.values(), allow_unused=True)))
    used = {key: gradient for key, gradient in gradients.items() if gradient is not None}
    return {"logits": numbers(logits.detach()), "loss": loss.item()}, used


def own_loss(model: nn.Module, case: Case, labels: list) -> float:
    return model(**case.inputs(), labels=torch.tensor(labels)).loss.item()


def parity(name: str, out: Path) -> dict:
    """Checkpoints in NAME, NAME/regression and NAME/mean, the gradients beside them; the cases with their values."""
    model, regression = create(name, **labelled(NAMES)), create(name, num_labels=1)
    head, case = mean_head(model), Case(name, model)
    folders = {"standard": out / name, "regression": out / name / "regression", "mean": out / name / "mean"}
    model.save_pretrained(folders["standard"])
    regression.save_pretrained(folders["regression"])
    model.save_pretrained(folders["mean"])
    weights = folders["mean"] / "model.safetensors"
    head_weights = {f"mean_head.{key}": each for key, each in head.state_dict().items()}
    save_file(load_file(weights) | head_weights, weights, {"format": "pt"})
    cases = []
    for case_name, checkpoint, selected in [
        ("full", "standard", None),
        ("regression", "regression", None),
        ("selective", "standard", case.selected["standard"]),
        ("mean", "mean", None),
        ("selective-mean", "mean", case.selected["mean"]),
    ]:
        labels = TARGETS if checkpoint == "regression" else LABELS
        used = regression if checkpoint == "regression" else model
        values, gradients = compute(used, head if checkpoint == "mean" else None, case, selected, labels)
        if selected is None and checkpoint != "mean":
            assert abs(own_loss(used, case, labels) - values["loss"]) < 1e-6
        save_file(gradients, out / name / f"{case_name}.safetensors")
        folder = str(folders[checkpoint].relative_to(out))
        pooling = "mean" if checkpoint == "mean" else "last" if case.causal else "cls"
        cases.append({"name": case_name, "folder": folder, "pooling": pooling, "selected": selected, "labels": labels} | values)
    sequences = [{"inputIds": ids, "tokenTypeIds": types} for ids, types in zip(case.ids, case.token_types())]
    return {"name": name, "sequences": sequences, "cases": cases, "dropout": dropout_sites(model), "start": start(name)}


def dropout_sites(model: nn.Module) -> list[list[float]]:
    """Probability and number of elements of each dropout that a training step does with one sequence, in order."""
    sites, original = [], nn.functional.dropout

    def record(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        if training and p > 0:
            sites.append([p, input.numel()])
        return original(input, p, training, inplace)

    nn.functional.dropout = record
    try:
        model.train()(input_ids=torch.arange(2, 12).unsqueeze(0))
    finally:
        nn.functional.dropout = original
        model.eval()
    return sites


def start(name: str) -> dict:
    """The configuration of a model that transformers starts, and what its first weights are like."""
    range_name = "init_std" if name.startswith("opt") else "initializer_range"
    config = configuration(name, **{range_name: 0.05}, num_labels=3)
    model = AutoModelForSequenceClassification.from_config(config)
    weights = {key: statistics(each.detach()) for key, each in model.named_parameters()}
    return {"config": json.loads(config.to_json_string(use_diff=False)), "weights": weights}


def statistics(weights: torch.Tensor) -> dict:
    """The deviation, or the value that all have, and the rows of a table that are zero."""
    values = weights.flatten()
    if (values == values[0]).all():
        return {"constant": values[0].item()}
    zero_rows = (weights == 0).all(1).nonzero().flatten().tolist()
    return {"deviation": values.std().item(), "mean": values.mean().item(), "zeroRows": zero_rows}


def main() -> None:
    deterministic()
    out = Path(sys.argv[1])
    results = [parity(name, out) for name in ARCHITECTURES]
    (out / "architectures.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
