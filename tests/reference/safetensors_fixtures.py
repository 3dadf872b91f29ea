"""Safetensors files as Python's safetensors writes them, and its verdict on several hundred damaged ones.

Writes reference.safetensors, safetensors_reference.json and safetensors_verdicts.json into ../fixtures.
Needs: safetensors, torch, numpy.
"""
import base64
import json
import pathlib
import random
import struct

import torch
from safetensors import SafetensorError, deserialize
from safetensors.torch import save_file

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}


def write_reference():
    torch.manual_seed(0)
    tensors = {}
    for name, dtype in DTYPES.items():
        values = torch.randn(3, 5, dtype=torch.float64) * 50
        tensors[f"encoder.{name}.weight"] = (values > 0) if dtype == torch.bool else values.to(dtype)
    tensors["scalars"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 7)
    tensors["12"] = torch.arange(4, dtype=torch.float32)
    tensors["__proto__"] = torch.arange(3, dtype=torch.float32)
    tensors['n\u00e4me with "quotes" \\ and \u65e5\u672c'] = torch.arange(3, dtype=torch.int32)
    path = FIXTURES / "reference.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    described = {
        name: {
            "dtype": next(key for key, value in DTYPES.items() if value == tensor.dtype),
            "shape": list(tensor.shape),
            "hex": tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex(),
        }
        for name, tensor in tensors.items()
    }
    (FIXTURES / "safetensors_reference.json").write_text(json.dumps(described, indent=1) + "\n")


def framed(header: str, data: bytes, length=None) -> bytes:
    encoded = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(encoded) if length is None else length) + encoded + data


def by_hand():
    """Files that are each wrong (or odd) in one way."""
    a = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    b = {"dtype": "I64", "shape": [2, 1], "data_offsets": [8, 24]}
    both = json.dumps({"a": a, "b": b})
    yield "sound", framed(both, bytes(24))
    yield "padded", framed(both + "    ", bytes(24))
    yield "no tensors", framed("{}", b"")
    yield "metadata", framed(json.dumps({"__metadata__": {"k": "v"}, "a": a}), bytes(8))
    yield "metadata that is no string", framed(json.dumps({"__metadata__": {"k": 1}, "a": a}), bytes(8))
    yield "metadata that is a list", framed(json.dumps({"__metadata__": [], "a": a}), bytes(8))
    yield "nothing", b""
    yield "seven bytes", bytes(7)
    yield "no header", bytes(8)
    yield "header beyond the file", framed(both, bytes(24), 10_000)
    yield "huge header length", framed(both, bytes(24), 2**63)
    yield "header length past the largest", framed(both, bytes(24), 100_000_001)
    yield "header one byte short", framed(both, bytes(24), len(both) - 1)
    yield "space before the header", framed(" " + both, bytes(24))
    yield "truncated data", framed(both, bytes(23))
    yield "data too long", framed(both, bytes(25))
    yield "a list", framed("[]", b"")
    yield "a number", framed("1", b"")
    yield "not JSON", framed("{a:1}", b"")
    yield "not UTF-8", struct.pack("<Q", 2) + b"{\xff"
    yield "byte order mark", framed("\ufeff{}", b"")

    def one(size=8, **changes):
        entry = {**a, **changes}
        return framed(json.dumps({"a": {key: value for key, value in entry.items() if value is not ...}}), bytes(size))

    yield "hole at the start", one(12, data_offsets=[4, 12])
    yield "backwards offsets", one(data_offsets=[8, 0])
    yield "negative offset", one(data_offsets=[-8, 0])
    yield "fractional offset", one(data_offsets=[0.5, 8.5])
    yield "three offsets", one(data_offsets=[0, 8, 8])
    yield "offsets as text", one(data_offsets=["0", "8"])
    yield "offset past 2^53", one(data_offsets=[2**60, 2**60 + 8])
    yield "no dtype", one(dtype=...)
    yield "no shape", one(shape=...)
    yield "no offsets", one(data_offsets=...)
    yield "unknown dtype", one(dtype="F33")
    yield "dtype of another case", one(dtype="f32")
    yield "dtype that every object has", one(dtype="constructor")
    yield "shape is a number", one(shape=2)
    yield "negative shape", one(shape=[-2])
    yield "two negatives", one(shape=[-1, -2])
    yield "fractional shape", one(shape=[0.5, 4.5])
    yield "shape as text", one(shape=["2"])
    yield "nested shape", one(shape=[[2]])
    yield "null in shape", one(shape=[None])
    yield "shape of another size", one(shape=[3])
    yield "overflowing shape", one(shape=[2**32, 2**32, 2**32])
    yield "overflow that wraps to zero", one(0, shape=[2**32, 2**32], data_offsets=[0, 0])
    yield "overflow hidden by a zero", one(0, shape=[2**40, 2**40, 0], data_offsets=[0, 0])
    yield "empty tensor", one(0, shape=[0, 5], data_offsets=[0, 0])
    yield "scalar", one(4, shape=[], data_offsets=[0, 4])
    yield "tensor is a list", framed(json.dumps({"a": [a]}), bytes(8))
    yield "tensor is null", framed(json.dumps({"a": None}), bytes(8))
    yield "overlap", framed(json.dumps({"a": a, "b": {**b, "data_offsets": [4, 20]}}), bytes(20))
    c = {"dtype": "F32", "shape": [1], "data_offsets": [24, 28]}
    cancelling = {"a": a, "b": {**b, "data_offsets": [4, 20]}, "c": c}
    yield "overlap and hole that cancel out", framed(json.dumps(cancelling), bytes(28))
    yield "the same bytes twice", framed(json.dumps({"a": a, "b": a}), bytes(8))
    yield "hole in the middle", framed(json.dumps({"a": a, "b": {**b, "data_offsets": [12, 28]}}), bytes(28))
    yield "tensors in another order", framed(json.dumps({"b": b, "a": a}), bytes(24))


def mutated():
    """Random edits: of the whole file, and of the header's text alone with its length set right again."""
    rng = random.Random(1)
    entries = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]},
    }
    header = json.dumps(entries, separators=(",", ":")).encode()
    for index in range(200):
        whole = mutate(rng, struct.pack("<Q", len(header)) + header)
        yield f"mutated file {index}", whole + bytes(32)
        text = mutate(rng, header)
        yield f"mutated header {index}", struct.pack("<Q", len(text)) + text + bytes(32)


def mutate(rng, sound: bytes) -> bytes:
    edited = bytearray(sound)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(edited))
        action = rng.randrange(4)
        if action == 0:
            edited[at] = rng.randrange(256)
        elif action == 1:
            del edited[at : at + rng.randrange(1, 4)]
        elif action == 2:
            edited[at:at] = bytes(rng.choices(b'0123456789{}[]",:-. ', k=rng.randrange(1, 3)))
        else:
            edited[at] = rng.choice(b"0123456789")
    return bytes(edited)


def verdict(file: bytes):
    try:
        return {name: [info["dtype"], info["shape"]] for name, info in deserialize(file)}
    except (SafetensorError, OverflowError):
        return None


def write_verdicts():
    cases = [
        {"case": case, "base64": base64.b64encode(file).decode(), "tensors": verdict(file)}
        for case, file in [*by_hand(), *mutated()]
    ]
    lines = ",\n".join(json.dumps(case) for case in cases)
    (FIXTURES / "safetensors_verdicts.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "files, accepted:", sum(case["tensors"] is not None for case in cases))


if __name__ == "__main__":
    write_reference()
    write_verdicts()
