# Loss, logits and the gradient of every parameter of two tiny OPTs, for full and for selective fine-tuning: one of the
# shape of most sizes, one of that of 350m (post-norm, projected word embeddings).
import shutil

import torch
from safetensors.torch import save_file
from transformers import OPTForSequenceClassification

from fixtures import deterministic, numbers, versions, write_json
from small_bert import loss_of
from small_opt import FOLDER, Opt, choose, collate, create, gradients_of, load, logits_of, sequences
from small_opt_split import split_logits

LENGTHS = [3, 17, 8, 1, 12]
LABELS, TARGETS = [2, 0, 1, 2, 0], [0.5, -1.25, 2.0, 0.0, 3.75]
POST_NORM = FOLDER / "post_norm"


def close(name: str, actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    difference = (actual - expected).abs().max().item()
    assert difference < tolerance, f"{name}: {difference} is not below {tolerance}"


def check_split(model: Opt, gradients: dict, loss: torch.Tensor, case: dict, batch: list[dict]) -> None:
    """The masked mode equals a computation in which the unselected positions have no graph at all."""
    split = loss_of(split_logits(model, batch, case["pooling"], case["selected"]), case["labels"])
    close("loss", split, loss, 1e-10)
    for name, gradient in gradients_of(model, split, case["pooling"]).items():
        close(name, gradient, gradients[name], 1e-10)


def check_standard(logits: torch.Tensor, gradients: dict, case: dict, batch: list[dict]) -> None:
    """With the pooling `last` and no selection, this is OPTForSequenceClassification's own forward and backward pass."""
    model = OPTForSequenceClassification.from_pretrained(FOLDER.parent / case["checkpoint"]).double().eval()
    own = model(**collate(batch)).logits
    close("logits", own, logits, 1e-12)
    loss_of(own, case["labels"]).backward()
    for name, parameter in model.named_parameters():
        close(name, parameter.grad, gradients[name], 1e-10)


def compute(case: dict, batch: list[dict], dtype: torch.dtype):
    model = load(FOLDER.parent / case["checkpoint"], dtype)
    logits = logits_of(model, batch, case["pooling"], case["selected"])
    return model, logits, loss_of(logits, case["labels"])


def fill(case: dict, batch: list[dict]) -> dict:
    """The case with its reference values; gradients are of the float64 model, rounded once."""
    _, logits32, loss32 = compute(case, batch, torch.float32)
    model, logits, loss = compute(case, batch, torch.float64)
    gradients = gradients_of(model, loss, case["pooling"])
    if case["selected"] is not None:
        check_split(model, gradients, loss, case, batch)
    elif case["pooling"] == "last":
        check_standard(logits, gradients, case, batch)
    file = f"gradients_{case['name']}.safetensors"
    save_file({name: gradient.float() for name, gradient in gradients.items()}, FOLDER / file)
    values = {"loss": loss32, "loss64": loss, "logits": logits32, "logits64": logits}
    return case | {"gradients": file} | {name: numbers(value.detach()) for name, value in values.items()}


def main() -> None:
    deterministic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    create(num_labels=3).save_pretrained(FOLDER)
    create(num_labels=1, do_layer_norm_before=False, word_embed_proj_dim=8).save_pretrained(POST_NORM)

    generator = torch.Generator().manual_seed(7)
    batch = sequences(LENGTHS, generator)

    def case(name: str, pooling: str, k: int | None = None, **other) -> dict:
        selected = None if k is None else choose(LENGTHS, k, -1 if pooling == "last" else 0, generator)
        common = {"checkpoint": "small_opt", "pooling": pooling, "k": k, "selected": selected, "labels": LABELS}
        return {"name": name} | common | other

    post_norm = {"checkpoint": "small_opt/post_norm", "labels": TARGETS}
    cases = [
        case("last", "last"),
        case("mean", "mean"),
        case("selective_1_last", "last", 1),
        case("selective_4_last", "last", 4),
        case("selective_4_mean", "mean", 4),
        case("post_norm", "last", **post_norm),
        case("post_norm_selective_4", "last", 4, **post_norm),
        case("post_norm_selective_4_mean", "mean", 4, **post_norm),
    ]
    write_json(
        "small_opt/cases.json",
        {"versions": versions(), "sequences": batch, "cases": [fill(case, batch) for case in cases]},
    )


if __name__ == "__main__":
    main()
