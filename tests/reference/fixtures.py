# Where fixtures go and how they are written: compact JSON in which every float32 keeps its exact value.
import json
import logging
import warnings
from pathlib import Path

import torch
import transformers

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def deterministic() -> None:
    """One thread, no chatter, and no dependence on what ran before."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("torch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def versions() -> dict:
    return {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}


def numbers(tensor: torch.Tensor) -> list:
    """Nested numbers; a float32 is written with nine digits, which is enough to read the same float32 back."""
    if tensor.dim() > 0:
        return [numbers(row) for row in tensor]
    value = tensor.item()
    return float(f"{value:.9g}") if tensor.dtype == torch.float32 else value


def write_json(name: str, fixture: dict) -> None:
    """Writes an object with one line for each key, and one for each record of a list of objects."""
    path = FIXTURES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(f"{compact(key)}:{member(value)}" for key, value in fixture.items()) + "\n}\n")
    print(f"{path.relative_to(FIXTURES.parent)}: {path.stat().st_size:,} bytes")


def member(value) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(compact(record) for record in value) + "\n]"
    return compact(value)


def compact(value) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
