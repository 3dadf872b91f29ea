# OPT as a language model: tiny random checkpoints with what transformers, PyTorch and PEFT compute of them; and what
# transformers and PEFT compute of what Fewtune saved.
#
#   language_model.py make OUT           writes the checkpoints, gradients and OUT/cases.json
#   language_model.py load CASES FOLDER  prints the logits of each saved FOLDER
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from torch.nn import functional
from transformers import AutoModelForCausalLM, OPTConfig, OPTForCausalLM

from fixtures import deterministic
from small_bert import membership
from small_opt import MAXIMUM_LENGTH, PADDING, VOCABULARY, collate, masked, sequences

POST_NORM = {"do_layer_norm_before": False, "word_embed_proj_dim": 8}
SHAPES = {"tied": {}, "untied": {"tie_word_embeddings": False}, "post_norm": POST_NORM}
LENGTHS, K = [9, 2, 14, 6, 21], 4
STEPS, LEARNING_RATE, WEIGHT_DECAY = 4, 3e-3, 0.1


def create(seed: int, **shape) -> OPTForCausalLM:
    """Weights large enough that no gradient is tiny, and no bias or norm at the value it would start from."""
    config = OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=4,
        ffn_dim=32,
        max_position_embeddings=MAXIMUM_LENGTH,
        dropout=0.1,
        attention_dropout=0.1,
        pad_token_id=PADDING,
        **shape,
    )
    model, generator = OPTForCausalLM(config), torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = 0.3 * torch.randn(parameter.shape, generator=generator)
        parameter.data = noise + 1 if name.endswith("layer_norm.weight") else noise
    return model


def load(folder, dtype=torch.float64) -> OPTForCausalLM:
    """Without dropout, with gradients; OPT's eager attention would round softmax to float32."""
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32).to(dtype).eval()


def choose(generator: torch.Generator) -> list[list[int]]:
    """K positions of each text, or all: any of those that have a next token."""
    return [torch.randperm(length - 1, generator=generator)[:K].sort().values.tolist() for length in LENGTHS]


def loss_of(model, texts: list[dict], selected: list[list[int]] | None) -> torch.Tensor:
    """The ordinary loss with every label ignored that no selected position predicts; gradients stop at the others."""
    inputs = collate(texts)
    valid = inputs["attention_mask"].bool()
    mask = valid if selected is None else membership(selected, valid.shape)
    labels = inputs["input_ids"].masked_fill(~valid, -100)
    labels[:, 1:] = labels[:, 1:].masked_fill(~mask[:, :-1], -100)
    with nullcontext() if selected is None else masked(model, mask):
        output = model(**inputs, labels=labels)
    loss = functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    # transformers rounds the logits to float32 for its own loss.
    assert abs(output.loss.item() - loss.item()) < 1e-6
    return loss


def logits_of(model, texts: list[dict]) -> list[list[float]]:
    """At every position but the last, text after text."""
    with torch.no_grad():
        logits = model(**collate(texts)).logits
    return [row.tolist() for text, rows in zip(texts, logits) for row in rows[: len(text["inputIds"]) - 1]]


def gradients_of(model, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    named = dict(model.named_parameters())
    return {name: each.float() for name, each in zip(named, torch.autograd.grad(loss, named.values()))}


def train(model, texts: list[dict], selections: list[list[list[int]]]) -> tuple[list[float], list[float]]:
    """Losses and norms of the gradients, which are clipped to 1, of steps of AdamW that decays matrices alone."""
    parameters = list(model.parameters())
    groups = [
        {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    losses, norms = [], []
    for selected in selections:
        loss = loss_of(model, texts, selected)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0).item())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, norms


def make(out: Path) -> None:
    generator = torch.Generator().manual_seed(5)
    texts, selected = sequences(LENGTHS, generator), choose(generator)
    selections = [choose(generator) for _ in range(STEPS)]
    cases = []
    for seed, (name, shape) in enumerate(SHAPES.items()):
        create(seed, **shape).save_pretrained(out / name)
        model = load(out / name)
        case = {"name": name, "logits64": logits_of(model, texts)}
        for kind, chosen in {"full": None, "selective": selected}.items():
            loss = loss_of(model, texts, chosen)
            save_file(gradients_of(model, loss), out / f"{name}_{kind}.safetensors")
            case[kind] = {"loss64": loss.item()}
        case["losses64"], case["norms64"] = train(model, texts, selections)
        trained = {key: each.detach().float() for key, each in model.named_parameters()}
        save_file(trained, out / f"{name}_trained.safetensors")
        cases.append(case)
    record = {"texts": texts, "selected": selected, "selections": selections, "cases": cases}
    settings = {"learningRate": LEARNING_RATE, "weightDecay": WEIGHT_DECAY}
    (out / "cases.json").write_text(json.dumps({**record, **settings, "peft64": adapt(out, texts)}))


def adapt(out: Path, texts: list[dict]) -> list[list[float]]:
    """A LoRA adapter that PEFT saved, and its logits."""
    model = AutoModelForCausalLM.from_pretrained(out / "tied")
    torch.manual_seed(3)
    peft = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, parameter in peft.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, 0.3)
    peft.save_pretrained(out / "peft")
    return logits_of(peft.double().eval(), texts)


def load_saved(cases: str, folders: list[str]) -> None:
    texts = json.loads(Path(cases).read_text())["texts"]
    logits = {}
    for folder in map(Path, folders):
        is_adapter = (folder / "adapter_config.json").exists()
        base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] if is_adapter else folder
        loaded, report = AutoModelForCausalLM.from_pretrained(base, output_loading_info=True)
        assert not any(report.values()), report
        model = PeftModel.from_pretrained(loaded, folder) if is_adapter else loaded
        logits[str(folder)] = logits_of(model.double().eval(), texts)
    print(json.dumps(logits))


if __name__ == "__main__":
    deterministic()
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        load_saved(sys.argv[2], sys.argv[3:])
