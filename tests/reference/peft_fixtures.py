# PEFT's methods on the tiny BERT, and what stands before texts on the tiny OPT: for each an adapter as PEFT saves it, its
# logits, its gradients, and twenty steps.
import json
import shutil

import peft
import torch
from peft import IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import save_file
from transformers import OPTForSequenceClassification

from fixtures import FIXTURES, deterministic, numbers, versions, write_json
import small_opt
from small_bert import DECAY, FOLDER, collate, load, loss_of, sequences

PLACE = FIXTURES / "peft"
LENGTHS, LABELS = [5, 11, 3, 8], [2, 0, 1, 1]
STEPS, LEARNING_RATE = 20, 1e-3
HEAD = ["bert.pooler", "classifier"]
LINEARS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]


def preceding(head: list[str] | None) -> dict:
    """What stands before texts, of either model; without a list PEFT finds the head itself."""

    def common() -> dict:
        return {"task_type": "SEQ_CLS", "num_virtual_tokens": 5, "modules_to_save": head and list(head)}

    return {
        "prefix": PrefixTuningConfig(**common()),
        "prefix_projection": PrefixTuningConfig(**common(), prefix_projection=True, encoder_hidden_size=12),
        "prompt": PromptTuningConfig(**common()),
    }


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
        **preceding(HEAD),
    }


def load_opt() -> OPTForSequenceClassification:
    """The tiny OPT with its standard head alone."""
    return OPTForSequenceClassification.from_pretrained(small_opt.FOLDER, attn_implementation="sdpa").eval()


def adapted(config, base) -> PeftModel:
    """Every trained value is other than where it starts from."""
    torch.manual_seed(7)
    model = get_peft_model(base, config).eval()
    generator = torch.Generator().manual_seed(31)
    for parameter in trained(model).values():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def trained(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The trained parameters by the keys that PEFT saves them under; what computes prefixes it does not save."""
    is_direct = not getattr(model.active_peft_config, "prefix_projection", False)
    return {
        name.replace(".default", "")
        .replace(".modules_to_save", "")
        .replace("prompt_encoder.embedding.weight" if is_direct else "prompt_encoder", own_name(is_direct))
        .replace("lora_magnitude_vector.weight", "lora_magnitude_vector"): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def own_name(is_direct: bool) -> str:
    return "prompt_embeddings" if is_direct else "prefix_encoder"


def logits_of(model: PeftModel, batch: list[dict]) -> torch.Tensor:
    """One text at a time where there are prompts: given embeddings, transformers' OPT does not know what is padding."""
    if model.config.model_type != "opt":
        return model(**collate(batch)).logits
    return torch.cat([model(**small_opt.collate([each])).logits for each in batch])


def step(model: PeftModel, batch: list[dict]) -> torch.Tensor:
    loss = loss_of(logits_of(model, batch), LABELS)
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


def tensors(model: PeftModel, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    prefix = "base_model." if model.active_peft_config.is_prompt_learning else "base_model.model."
    return {name.removeprefix(prefix): tensor.detach().float().contiguous() for name, tensor in values.items()}


def case(name: str, config, base, batch: list[dict]) -> dict:
    model, folder = adapted(config, base), PLACE / name
    save(folder, model)
    if getattr(config, "prefix_projection", False):
        save_file(tensors(model, trained(model)), folder / "before.safetensors")
    model = model.double()
    logits64 = logits_of(model, batch)
    loss64 = step(model, batch)
    gradients = {key: parameter.grad for key, parameter in trained(model).items()}
    save_file(tensors(model, gradients), folder / "gradients.safetensors")
    model.zero_grad()
    losses64 = train(model, batch)
    save_file(tensors(model, trained(model)), folder / "after.safetensors")
    return {"name": name, "logits64": numbers(logits64), "loss64": numbers(loss64), "losses64": losses64}


def write(name: str, batch: list[dict], cases: list[dict]) -> None:
    about = {"versions": versions() | {"peft": peft.__version__}, "sequences": batch, "labels": LABELS}
    settings = {"learningRate": LEARNING_RATE, "weightDecay": DECAY}
    write_json(f"peft/{name}.json", about | settings | {"cases": cases})


def main() -> None:
    deterministic()
    shutil.rmtree(PLACE, ignore_errors=True)
    batch = sequences(LENGTHS, torch.Generator().manual_seed(13))
    write("cases", batch, [case(name, config, load(FOLDER), batch) for name, config in configs().items()])
    batch = small_opt.sequences(LENGTHS, torch.Generator().manual_seed(14))
    configured = preceding(None).items()
    write("opt_cases", batch, [case(f"opt_{name}", config, load_opt(), batch) for name, config in configured])


if __name__ == "__main__":
    main()
