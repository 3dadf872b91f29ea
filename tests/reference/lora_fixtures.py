# LoRA on the tiny BERT as PEFT computes and saves it: an adapter, its logits, its gradients, and three training steps.
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

from fixtures import FIXTURES, deterministic, numbers, versions, write_json
from small_bert import DECAY, FOLDER, adamw, collate, load, loss_of, sequences

ADAPTER = FIXTURES / "lora" / "adapter"
LENGTHS, LABELS = [5, 11, 3, 8], [2, 0, 1, 1]
RANK, ALPHA, STEPS, LEARNING_RATE = 4, 12, 3, 1e-3
TARGETS, HEAD = ["query", "value"], ["bert.pooler", "classifier"]
PREFIX = "base_model.model."


def adapted() -> PeftModel:
    """Every trained value is other than where it starts from: B is not zero, and the head is not the base's."""
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=list(TARGETS),
        modules_to_save=list(HEAD),
    )
    model = get_peft_model(load(FOLDER), config).eval()
    generator = torch.Generator().manual_seed(31)
    for parameter in trained(model).values():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def trained(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The trained parameters by the keys that PEFT saves them under."""
    return {
        name.replace(".default", "").replace(".modules_to_save", ""): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def step(model: PeftModel, batch: list[dict]) -> torch.Tensor:
    loss = loss_of(model(**collate(batch)).logits, LABELS)
    loss.backward()
    return loss.detach()


def train(model: PeftModel, batch: list[dict]) -> list:
    """The losses of a few steps; the parameters are those after them."""
    optimizer, losses = adamw(model, LEARNING_RATE), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses.append(numbers(step(model, batch)))
        optimizer.step()
    return losses


def written_by_fewtune(saved: dict) -> dict:
    """The fields that Fewtune writes of an adapter_config.json."""
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": str(FOLDER),
        "inference_mode": True,
        "r": saved["r"],
        "lora_alpha": saved["lora_alpha"],
        "lora_dropout": 0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "target_modules": TARGETS,
        "modules_to_save": HEAD,
    }


def check_fields(config: dict, original: PeftModel, batch: list[dict]) -> None:
    """PEFT reads an adapter with Fewtune's fields alone: the same tensors are trained, and the logits are equal."""
    with TemporaryDirectory() as folder:
        shutil.copy(ADAPTER / "adapter_model.safetensors", folder)
        (Path(folder) / "adapter_config.json").write_text(json.dumps(config))
        model = PeftModel.from_pretrained(load(FOLDER), folder, is_trainable=True).eval()
        expected = trained(original)
        assert trained(model).keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in trained(model).items())
        assert torch.equal(model(**collate(batch)).logits, original(**collate(batch)).logits)


def main() -> None:
    deterministic()
    shutil.rmtree(ADAPTER.parent, ignore_errors=True)
    batch = sequences(LENGTHS, torch.Generator().manual_seed(13))

    model = adapted()
    model.save_pretrained(ADAPTER)
    (ADAPTER / "README.md").unlink()
    path = ADAPTER / "adapter_config.json"
    saved = json.loads(path.read_text())
    lists = {name: sorted(saved[name]) for name in ("target_modules", "modules_to_save")}
    path.write_text(json.dumps(saved | lists | {"base_model_name_or_path": "BASE"}, indent=1, sort_keys=True) + "\n")
    logits = model(**collate(batch)).logits
    config = written_by_fewtune(saved)
    check_fields(config, model, batch)

    model = model.double()
    logits64 = model(**collate(batch)).logits
    loss64 = step(model, batch)
    gradients = {name.removeprefix(PREFIX): parameter.grad.float() for name, parameter in trained(model).items()}
    save_file(gradients, ADAPTER.parent / "gradients.safetensors")
    model.zero_grad()
    losses64 = train(model, batch)
    after = {name.removeprefix(PREFIX): parameter.detach().float() for name, parameter in trained(model).items()}
    save_file(after, ADAPTER.parent / "after.safetensors")

    write_json(
        "lora/cases.json",
        {
            "versions": versions() | {"peft": peft.__version__},
            "sequences": batch,
            "labels": LABELS,
            "rank": RANK,
            "alpha": ALPHA,
            "logits": numbers(logits.detach()),
            "logits64": numbers(logits64.detach()),
            "loss64": numbers(loss64),
            "learningRate": LEARNING_RATE,
            "weightDecay": DECAY,
            "losses64": losses64,
            "config": config | {"base_model_name_or_path": "BASE"},
        },
    )


if __name__ == "__main__":
    main()
