# Loss, logits and the gradient of every parameter of a tiny BERT, for full and for selective fine-tuning.
import copy
import shutil

import torch
from safetensors.torch import save_file

from fixtures import deterministic, numbers, versions, write_json
from small_bert import FOLDER, choose, collate, create, gradients_of, load, logits_of, loss_of, sequences
from split import split_logits

LENGTHS = [3, 17, 8, 4, 12]
LABELS, TARGETS = [2, 0, 1, 2, 0], [0.5, -1.25, 2.0, 0.0, 3.75]
REGRESSION = FOLDER / "regression"


def close(name: str, actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    difference = (actual - expected).abs().max().item()
    assert difference < tolerance, f"{name}: {difference} is not below {tolerance}"


def check_finite_differences(model, gradients: dict, case: dict, batch: list[dict]) -> None:
    """Along a random direction of every parameter, central differences give the same slope."""
    model, step = copy.deepcopy(model), 1e-6
    for name, parameter in model.named_parameters():
        origin, direction = parameter.data.clone(), torch.randn_like(parameter)
        values = []
        for sign in (1, -1):
            parameter.data = origin + sign * step * direction
            with torch.no_grad():
                values.append(loss_of(logits_of(model, batch, case["pooling"], None), case["labels"]))
        parameter.data = origin
        close(name, (values[0] - values[1]) / (2 * step), (gradients[name] * direction).sum(), 1e-7)


def check_split(model, gradients: dict, loss: torch.Tensor, case: dict, batch: list[dict]) -> None:
    """The masked mode equals a computation in which the unselected positions have no graph at all."""
    split = loss_of(split_logits(model, batch, case["pooling"], case["selected"]), case["labels"])
    close("loss", split, loss, 1e-10)
    for name, gradient in gradients_of(model, split).items():
        close(name, gradient, gradients[name], 1e-10)


def check_standard(model, logits: torch.Tensor, batch: list[dict]) -> None:
    """With [CLS] pooling and no selection, this is BertForSequenceClassification's own forward pass."""
    close("logits", model(**collate(batch)).logits, logits, 1e-12)


def compute(case: dict, batch: list[dict], dtype: torch.dtype):
    model = load(FOLDER.parent / case["checkpoint"], dtype)
    logits = logits_of(model, batch, case["pooling"], case["selected"])
    return model, logits, loss_of(logits, case["labels"])


def fill(case: dict, batch: list[dict]) -> dict:
    """The case with its reference values; gradients are of the float64 model, rounded once."""
    _, logits32, loss32 = compute(case, batch, torch.float32)
    model, logits, loss = compute(case, batch, torch.float64)
    gradients = gradients_of(model, loss)
    if case["selected"] is not None:
        check_split(model, gradients, loss, case, batch)
    elif case["pooling"] == "cls":
        check_standard(model, logits, batch)
    if case["selected"] is None:
        check_finite_differences(model, gradients, case, batch)
    file = f"gradients_{case['name']}.safetensors"
    save_file({name: gradient.float() for name, gradient in gradients.items()}, FOLDER / file)
    values = {"loss": loss32, "loss64": loss, "logits": logits32, "logits64": logits}
    return case | {"gradients": file} | {name: numbers(value.detach()) for name, value in values.items()}


def main() -> None:
    deterministic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    create(num_labels=3).save_pretrained(FOLDER)
    create(num_labels=1).save_pretrained(REGRESSION)

    generator = torch.Generator().manual_seed(7)
    batch = sequences(LENGTHS, generator)
    selected = {k: choose(LENGTHS, k, generator) for k in (1, 4, 8)}

    def case(name: str, pooling: str, k: int | None = None, **other) -> dict:
        common = {"checkpoint": "small_bert", "pooling": pooling, "k": k, "selected": selected.get(k), "labels": LABELS}
        return {"name": name} | common | other

    cases = [
        case("cls", "cls"),
        case("regression", "cls", checkpoint="small_bert/regression", labels=TARGETS),
        case("mean", "mean"),
        *(case(f"selective_{k}", "mean", k) for k in selected),
        case("selective_4_cls", "cls", 4),
    ]
    write_json(
        "small_bert/cases.json",
        {"versions": versions(), "sequences": batch, "cases": [fill(case, batch) for case in cases]},
    )


if __name__ == "__main__":
    main()
