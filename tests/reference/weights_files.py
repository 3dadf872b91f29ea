# What PyTorch, safetensors and transformers make of weights that are sharded, and of types that are converted.
#
# In the folder that is given, `saved` holds sharded checkpoints; transformers loads each and saves it again, sharded
# alike, into `again`. `halves` gets each pattern of 16 bits and others, as files in each type, with PyTorch's conversions.
import hashlib
import json
import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}


def digests(model: torch.nn.Module) -> dict[str, str]:
    """A hash of each tensor's bytes."""
    tensors = {name: tensor.contiguous().view(torch.uint8) for name, tensor in model.state_dict().items()}
    return {name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in tensors.items()}


def save_again(folder: Path, again: Path, max_shard_bytes: int, dtype: str) -> dict:
    dtype = getattr(torch, dtype)
    model, loading = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    model.save_pretrained(again, max_shard_size=max_shard_bytes)
    return {
        "architecture": type(model).__name__,
        "problems": {key: list(value) for key, value in loading.items() if value},
        "digests": digests(model),
    }


def patterns() -> dict[str, torch.Tensor]:
    """All values of 16 bits; of the wider types those, others around them, and values at random."""
    bits = torch.from_numpy(numpy.arange(1 << 16, dtype=numpy.uint16).view(numpy.int16))
    halves = [bits.view(torch.float16), bits.view(torch.bfloat16)]
    random = torch.Generator().manual_seed(0)
    bits32 = torch.randint(-(1 << 31), 1 << 31, [1 << 16], generator=random).to(torch.int32)
    bits64 = torch.randint(-(1 << 63), (1 << 63) - 1, [1 << 16], generator=random)
    near = torch.cat([half.double() * (1 + scale) for half in halves for scale in (0, 2.0**-12, -(2.0**-9), 2.0**-24)])
    wide = torch.cat([near, bits32.view(torch.float32).double(), bits64.view(torch.float64)])
    return {"F16": halves[0], "BF16": halves[1], "F32": wide.float(), "F64": wide}


def convert(folder: Path) -> None:
    folder.mkdir()
    for source, tensor in patterns().items():
        save_file({"stored": tensor}, folder / f"{source}.safetensors")
        save_file({name: tensor.to(dtype) for name, dtype in DTYPES.items()}, folder / f"{source}_to.safetensors")


def main() -> None:
    folder = Path(sys.argv[1])
    convert(folder / "halves")
    again = {
        name: save_again(folder / "saved" / name, folder / "again" / name, saved["maxShardBytes"], saved["dtype"])
        for name, saved in json.load(sys.stdin).items()
    }
    print(json.dumps(again))


if __name__ == "__main__":
    main()
