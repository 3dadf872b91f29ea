# Loads a checkpoint once, as a user of safetensors or transformers does, and prints the seconds and the memory.
import argparse
import glob
import json
import re
import time

import torch
from safetensors.torch import load_file
from transformers import OPTForSequenceClassification
from transformers.utils.logging import disable_progress_bar


def resident(field: str) -> int:
    """VmRSS or VmHWM, in bytes; pages of mapped files count."""
    with open("/proc/self/status") as status:
        return int(re.search(rf"^{field}:\s*(\d+) kB$", status.read(), re.MULTILINE)[1]) * 1024


def load_safetensors(folder: str, dtype: torch.dtype) -> list[torch.Tensor]:
    """Memory of our own, as after Fewtune's load: what load_file gives are views of the mapped files."""
    tensors = []
    for path in sorted(glob.glob(f"{folder}/*.safetensors")):
        tensors += [tensor.to(dtype, copy=True) for tensor in load_file(path).values()]
    return tensors


def load_transformers(folder: str, dtype: torch.dtype) -> list[torch.Tensor]:
    model = OPTForSequenceClassification.from_pretrained(folder, dtype=dtype)
    return list(model.parameters())


WAYS = {"safetensors": load_safetensors, "transformers": load_transformers}


def touch(tensors: list[torch.Tensor]) -> None:
    """Reads an element of every page, so that nothing is still only promised."""
    for tensor in tensors:
        tensor.detach().view(-1)[:: 4096 // tensor.element_size()].max()


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints seconds and the growth of resident memory as JSON.")
    parser.add_argument("folder")
    parser.add_argument("dtype", choices=["float16", "float32"])
    parser.add_argument("--way", choices=WAYS, default="safetensors")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    disable_progress_bar()
    before = resident("VmRSS")
    worked, start = time.process_time(), time.perf_counter()
    tensors = WAYS[arguments.way](arguments.folder, getattr(torch, arguments.dtype))
    touch(tensors)
    seconds = time.perf_counter() - start
    cpu_seconds = time.process_time() - worked
    print(json.dumps({"seconds": seconds, "cpuSeconds": cpu_seconds, "peakBytes": resident("VmHWM") - before}))


if __name__ == "__main__":
    main()
