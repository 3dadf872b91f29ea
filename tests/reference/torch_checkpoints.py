# Writes tiny models of transformers to the folder in the first argument, as PyTorch's own files in every form in which
# OPT and BERT are published, each beside the same weights in safetensors; and the checkpoint in the second argument.
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertModel,
    OPTConfig,
    OPTForCausalLM,
    OPTForSequenceClassification,
    OPTModel,
)

FOLDER, MINILM = Path(sys.argv[1]), Path(sys.argv[2])
OLD = {"_use_new_zipfile_serialization": False}
TINY = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4}


def folder(name: str, model) -> Path:
    """A folder with the model's configuration alone, beside `name_safe` with what transformers saves today."""
    model.save_pretrained(FOLDER / f"{name}_safe")
    made = FOLDER / name
    made.mkdir()
    shutil.copy(FOLDER / f"{name}_safe" / "config.json", made)
    return made


def same(anything):
    return anything


def save(name: str, model, rename=same, lay=same, extra=None, **options) -> None:
    """As pytorch_model.bin, under the renamed keys."""
    tensors = {rename(key): lay(value) for key, value in model.state_dict().items()} | (extra or {})
    torch.save(tensors, folder(name, model) / "pytorch_model.bin", **options)


def save_shards(name: str, model, count: int) -> None:
    made, tensors = folder(name, model), list(model.state_dict().items())
    weight_map = {}
    for index in range(count):
        file = f"pytorch_model-{index + 1:05}-of-{count:05}.bin"
        torch.save(dict(tensors[index::count]), made / file)
        weight_map |= {key: file for key, _ in tensors[index::count]}
    listed = {"metadata": {"total_size": sum(value.nbytes for _, value in tensors)}, "weight_map": weight_map}
    (made / "pytorch_model.bin.index.json").write_text(json.dumps(listed))


def opt(cls, **shape):
    torch.manual_seed(3)
    return cls(OPTConfig(**TINY, ffn_dim=32, max_position_embeddings=32, word_embed_proj_dim=16, **shape))


def bert(cls):
    torch.manual_seed(4)
    return cls(BertConfig(**TINY, intermediate_size=32, max_position_embeddings=32))


def transposed(tensor):
    """The same matrix, as models that were converted from TensorFlow lie in memory."""
    return tensor.t().contiguous().t() if tensor.dim() == 2 else tensor


def old_norm(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def main() -> None:
    version = torch.tensor([3.0])
    save("opt_classifier", opt(OPTForSequenceClassification))
    save("opt_causal", opt(OPTForCausalLM), extra={"model.decoder.version": version})
    save("opt_base", opt(OPTModel))
    causal = opt(OPTForCausalLM)
    old = {"lm_head.weight": causal.lm_head.weight, "decoder.version": version}
    save("opt_without_prefix", causal, lambda name: name.removeprefix("model."), extra=old)
    save("opt_half", opt(OPTForCausalLM).half(), **OLD)
    post_norm = {"do_layer_norm_before": False} | {"dropout": 0.0}
    config = OPTConfig(**TINY, ffn_dim=32, max_position_embeddings=32, word_embed_proj_dim=8, **post_norm)
    torch.manual_seed(5)
    save("opt_350m", OPTForCausalLM(config), lambda name: name.removeprefix("model."))
    save_shards("opt_shards", opt(OPTForCausalLM), 3)
    save("bert_old", bert(BertForPreTraining), old_norm, transposed, **OLD)
    save("bert_base", bert(BertModel))
    weights = load_file(MINILM / "model.safetensors")
    for name, dtype, options in (("zip", torch.float32, {}), ("old", torch.float32, OLD), ("half", torch.float16, {})):
        made = FOLDER / f"minilm_{name}"
        made.mkdir()
        shutil.copy(MINILM / "config.json", made)
        torch.save({key: value.to(dtype) for key, value in weights.items()}, made / "pytorch_model.bin", **options)


main()
