# PEFT's methods on the tiny BERT: for each an adapter as PEFT saves it, its logits, its gradients, and twenty steps.
import json
import shutil

import peft
import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

from fixtures import FIXTURES, deterministic, numbers, versions, write_json
from small_bert import DECAY, FOLDER, collate, load, loss_of, sequences

PLACE = FIXTURES / "peft"
LENGTHS, LABELS = [5, 11, 3, 8], [2, 0, 1, 1]
STEPS, LEARNING_RATE = 20, 1e-3
HEAD = ["bert.pooler", "classifier"]
PREFIX = "base_model.model."
LINEARS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]


def configs() -> dict:
    common = {"task_type": "SEQ_CLS", "modules_to_save": list(HEAD)}
    lora = {**common, "r": 4, "lora_alpha": 12}
    feed_forward = [f"layer.{layer}.output.dense" for layer in range(3)]
    return {
        "lora_all": LoraConfig(**lora, target_modules=LINEARS),
        "rslora": LoraConfig(**lora, target_modules=["query", "value"], use_rslora=True),
        "dora": LoraConfig(**lora, target_modules=["query", "output.dense"], use_dora=True),
        "ia3": IA3Config(
            **common,
            target_modules=["key", "value", *feed_forward],
            feedforward_modules=feed_forward,
        ),
    }


def adapted(config) -> PeftModel:
    """Every trained value is other than where it starts from."""
    torch.manual_seed(7)
    model = get_peft_model(load(FOLDER), config).eval()
    generator = torch.Generator().manual_seed(31)
    for parameter in trained(model).values():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def trained(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The trained parameters by the keys that PEFT saves them under."""
    return {
        name.replace(".default", "")
        .replace(".modules_to_save", "")
        .replace("lora_magnitude_vector.weight", "lora_magnitude_vector"): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def step(model: PeftModel, batch: list[dict]) -> torch.Tensor:
    loss = loss_of(model(**collate(batch)).logits, LABELS)
    loss.backward()
    return loss.detach()


def train(model: PeftModel, batch: list[dict]) -> list:
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


def save(folder, model: PeftModel) -> None:
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    path = folder / "adapter_config.json"
    fields = json.loads(path.read_text())
    lists = {name: sorted(value) for name, value in fields.items() if isinstance(value, list)}
    path.write_text(
        json.dumps(fields | lists | {"base_model_name_or_path": "BASE"}, indent=1, sort_keys=True) + "\n"
    )


def tensors(parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(PREFIX): tensor.detach().float().contiguous() for name, tensor in parameters.items()}


def case(name: str, config, batch: list[dict]) -> dict:
    model, folder = adapted(config), PLACE / name
    save(folder, model)
    model = model.double()
    logits64 = model(**collate(batch)).logits
    loss64 = step(model, batch)
    gradients = {key: parameter.grad for key, parameter in trained(model).items()}
    save_file(tensors(gradients), folder / "gradients.safetensors")
    model.zero_grad()
    losses64 = train(model, batch)
    save_file(tensors(trained(model)), folder / "after.safetensors")
    return {"name": name, "logits64": numbers(logits64), "loss64": numbers(loss64), "losses64": losses64}


def main() -> None:
    deterministic()
    shutil.rmtree(PLACE, ignore_errors=True)
    batch = sequences(LENGTHS, torch.Generator().manual_seed(13))
    cases = [case(name, config, batch) for name, config in configs().items()]
    about = {"versions": versions() | {"peft": peft.__version__}, "sequences": batch, "labels": LABELS}
    settings = {"learningRate": LEARNING_RATE, "weightDecay": DECAY}
    write_json("peft/cases.json", about | settings | {"cases": cases})


if __name__ == "__main__":
    main()
