# Writes files of torch.save to the folder in its argument, sound and hostile ones, and expected.json: what
# torch.load gives of the sound ones, and what a reader has to say of the others.
import collections
import json
import os
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import torch

FOLDER = Path(sys.argv[1])
NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
}
sound, hostile = {}, {}


def described(tensor: torch.Tensor) -> list:
    data = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    return [NAMES[tensor.dtype], list(tensor.shape), bytes(data.tolist()).hex()]


def save(name: str, tensors, **options) -> None:
    torch.save(tensors, FOLDER / name, **options)
    loaded = torch.load(FOLDER / name, weights_only=False)
    sound[name] = {key: described(tensor) for key, tensor in loaded.items()}


def state_dict() -> collections.OrderedDict:
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(5, 7, generator=generator)
    block = torch.randn(3, 4, 5, 6, generator=generator)
    tensors = collections.OrderedDict(
        matrix=matrix,
        tied=matrix,
        transposed=matrix.t(),
        row=matrix[2],
        column=matrix[:, 3],
        rows=matrix[1:3],
        steps=matrix[::2, 1::3],
        permuted=block.permute(2, 0, 3, 1)[1:, :, 2:],
        positions=torch.arange(9).expand(1, -1),
        parameter=torch.nn.Parameter(torch.randn(4, 1, generator=generator)),
        half=matrix.half().t(),
        bfloat=matrix.bfloat16(),
        double=matrix.double().t(),
        scalar=torch.tensor(2.5),
        empty=torch.empty(0, 3),
        nan=torch.tensor([float("nan"), -0.0, float("inf")]),
        version=torch.tensor([3.0]),
    )
    for dtype in [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]:
        tensors[str(dtype)] = torch.tensor([1, 0, 1]).to(dtype)
    tensors["ключ \U0001f511\n__proto__"] = torch.ones(2)
    tensors._metadata = collections.OrderedDict(layer={"version": 1})
    return tensors


def write_sound() -> None:
    for protocol in (2, 3, 4, 5):
        save(f"protocol{protocol}.bin", state_dict(), pickle_protocol=protocol)
        old = {"_use_new_zipfile_serialization": False, "pickle_protocol": protocol}
        save(f"legacy{protocol}.bin", state_dict(), **old)
    save("plain_dictionary.bin", dict(state_dict()))
    save("nothing.bin", {})
    many = {f"layer.{index}.weight": torch.full((index % 5, 3), index) for index in range(2000)}
    save("many.bin", many)
    save("many_legacy.bin", many, _use_new_zipfile_serialization=False)
    annotated = torch.nn.Parameter(torch.ones(2))
    annotated.note = "an attribute"
    save("parameter_with_state.bin", {"a": annotated})
    linear = torch.nn.Linear(3, 2)
    save("module.bin", linear.state_dict())
    with open(FOLDER / "commented.bin", "wb") as file:
        file.write((FOLDER / "module.bin").read_bytes()[:-2] + struct.pack("<H", 9) + b"a comment")
    sound["commented.bin"] = sound["module.bin"]


MARK, STOP, PROTOCOL = b"(", b".", b"\x80\x02"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    return b"\x8a" + bytes([len(pickle.encode_long(value))]) + pickle.encode_long(value)


def named(name: str) -> bytes:
    module, _, last = name.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def numbers(values) -> bytes:
    return MARK + b"".join(map(integer, values)) + b"t"


def storage(kind="torch.FloatStorage", key="0", elements=6) -> bytes:
    return MARK + text("storage") + named(kind) + text(key) + text("cpu") + integer(elements) + b"tQ"


def tensor(of=None, offset=0, shape=(2, 3), strides=(3, 1)) -> bytes:
    arguments = (storage() if of is None else of) + integer(offset) + numbers(shape) + numbers(strides)
    return named("torch._utils._rebuild_tensor_v2") + MARK + arguments + b"\x89)tR"


def dictionary(**values: bytes) -> bytes:
    items = b"".join(text(name) + value for name, value in values.items())
    return PROTOCOL + b"}" + MARK + items + b"u" + STOP


def container(path: Path, data: bytes, storages=None, compression=zipfile.ZIP_STORED, extra=()) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in (storages or {"0": bytes(24)}).items():
            archive.writestr(f"archive/data/{name}", content)
        for name, content in extra:
            archive.writestr(name, content)


def refused(name: str, reason: str, data: bytes, **options) -> None:
    container(FOLDER / name, data, **options)
    hostile[name] = reason


class Runs:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def require_dangerous(attack: Runs, witness: str) -> None:
    """That Python runs what is in the pickle: a reader that does so leaves the same trace."""
    pickle.loads(pickle.dumps(attack))
    Path(witness).unlink()


def write_hostile_pickles() -> None:
    witness = str(FOLDER / "was_run")
    attacks = {
        "system": Runs(os.system, f"touch {witness}"),
        "eval": Runs(eval, f"open({witness!r}, 'w')"),
        "getattr": Runs(getattr, "text", "upper"),
        "importer": Runs(__import__, "os"),
    }
    require_dangerous(attacks["system"], witness)
    require_dangerous(attacks["eval"], witness)
    asked = {"system": "posix.system", "eval": "builtins.eval", "getattr": "builtins.getattr", "importer": "builtins.__import__"}
    for protocol in (2, 3, 4, 5):
        for name, attack in attacks.items():
            module, function = asked[name].split(".")
            module = "__builtin__" if protocol == 2 and module == "builtins" else module
            reason = f'asks for "{module}.{function}", which weights do not need: it was not called'
            refused(f"{name}{protocol}.bin", reason, pickle.dumps({"a": attack}, protocol))
    for name in ("torch.load", "torch.hub.load", "torch.jit._load", "numpy.core.multiarray._reconstruct", "torch.uint16"):
        refused(f"{name}.bin", f'asks for "{name}"', PROTOCOL + named(name) + STOP)
    refused("dotted.bin", 'asks for "collections.OrderedDict.__init__"', b"\x80\x04" + b"\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.")
    refused("protocol0.bin", 'asks for "os.system"', b"cos\nsystem\n(S'true'\ntR.")
    refused("inst.bin", "0x69 (INST)", b"(X\x04\x00\x00\x00trueios\nsystem\n.")
    refused("obj.bin", "0x6f (OBJ)", PROTOCOL + MARK + named("collections.OrderedDict") + b"o.")
    refused("newobj.bin", "0x81 (NEWOBJ)", PROTOCOL + named("collections.OrderedDict") + b")\x81.")
    refused("extension.bin", "0x82 (EXT1)", PROTOCOL + b"\x82\x01.")
    refused("storage_called.bin", "calls torch.FloatStorage, which it may only name", PROTOCOL + named("torch.FloatStorage") + b")R.")
    refused("text_called.bin", "calls what is no function", PROTOCOL + text("os.system") + b")R.")
    legacy = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001))
    (FOLDER / "legacy_system.bin").write_bytes(legacy + pickle.dumps(attacks["system"], 2))
    hostile["legacy_system.bin"] = 'asks for "posix.system"'
    (FOLDER / "plain_pickle.bin").write_bytes(pickle.dumps({"a": 1}, 2))
    hostile["plain_pickle.bin"] = "is a pickle that torch.save did not write"


def write_hostile_sizes() -> None:
    refused("nested.bin", "holds no dictionary of tensors", PROTOCOL + b"]" * 300_000 + b"a" * 299_999 + STOP)
    refused("nested_deeper.bin", "holds more than 1048576 values", PROTOCOL + b"]" * 3_000_000 + STOP)
    refused("dictionaries.bin", "holds more than 1048576 values", PROTOCOL + b"}" * 3_000_000 + STOP)
    refused("memo.bin", "holds more than 1048576 values", b"\x80\x04N" + b"\x94" * 3_000_000 + STOP)
    doubled = PROTOCOL + b"]q\x00" + b"".join(bytes([*b"](h", i, *b"h", i, *b"eq", i + 1]) for i in range(60)) + STOP
    refused("doubled.bin", "holds no dictionary of tensors", doubled)
    refused("far_memo.bin", "holds no dictionary of tensors", PROTOCOL + b"Nr\xff\xff\xff\xff" + STOP)
    refused("forgotten.bin", "recalls the value 4294967295", PROTOCOL + b"j\xff\xff\xff\xff" + STOP)
    refused("long_text.bin", "pickle is truncated", PROTOCOL + b"X\xff\xff\xff\xffabc" + STOP)
    refused("longer_text.bin", "pickle is truncated", b"\x80\x04\x8d" + b"\xff" * 8 + STOP)
    refused("endless_name.bin", "names a global without an end", PROTOCOL + b"c" + b"a" * 100_000)
    refused("no_stop.bin", "pickle is truncated", PROTOCOL + b"N")
    refused("underflow.bin", "takes a value where there is none", PROTOCOL + b"R.")
    refused("no_mark.bin", "goes back to a mark", PROTOCOL + b"t.")
    refused("odd_items.bin", "a key without a value", PROTOCOL + b"}(Nu.")
    refused("no_utf8.bin", "not UTF-8", PROTOCOL + b"X\x01\x00\x00\x00\xff.")
    refused("long_number.bin", '"a" is no tensor', dictionary(a=b"\x8a\xff" + b"\x7f" * 255))
    refused("number.bin", '"a" is no tensor', dictionary(a=integer(1)))
    refused("wrapped.bin", """"state_dict" is no tensor: save the model's state_dict() alone""", dictionary(state_dict=b"}"))
    refused("list.bin", "holds no dictionary of tensors", PROTOCOL + b"]" + tensor() + b"a.")
    most = 2**53 - 1
    refused("elements.bin", "has 24 bytes where its tensors need", dictionary(a=tensor(storage(elements=most // 8))))
    refused("many_elements.bin", "refers to what is no storage", dictionary(a=tensor(storage(elements=2**62))))
    refused("shape.bin", "impossible shape [1099511627776,1099511627776]", dictionary(a=tensor(shape=(2**40, 2**40))))
    refused("long_shape.bin", "without storage, offset, shape", dictionary(a=tensor(shape=[1] * 65, strides=[1] * 65)))
    refused("strides.bin", "reaches beyond it", dictionary(a=tensor(strides=(most, 1))))
    refused("stride_count.bin", "impossible shape [2,3] with strides [1]", dictionary(a=tensor(strides=(1,))))
    refused("offset.bin", "reaches beyond it", dictionary(a=tensor(offset=1)))
    refused("far_offset.bin", "reaches beyond it", dictionary(a=tensor(offset=most)))
    refused("negative_offset.bin", "without storage, offset, shape", dictionary(a=tensor(offset=-1)))
    refused("negative_shape.bin", "without storage, offset, shape", dictionary(a=tensor(shape=(-2, -3))))
    refused("negative_stride.bin", "without storage, offset, shape", dictionary(a=tensor(strides=(-3, 1))))
    refused("expanded.bin", "shows an element more than once", dictionary(a=tensor(shape=(1000, 1000), strides=(0, 0))))
    shared = {f"layer{index}": tensor(storage(elements=10_000), shape=(10_000,), strides=(1,)) for index in range(20)}
    refused("shared.bin", "share their memory more than 8 times", dictionary(**shared), storages={"0": bytes(40_000)})
    refused("no_storage.bin", 'storage "7" is missing', dictionary(a=tensor(storage(key="7"))))
    refused("path_storage.bin", 'storage "../data.pkl" is missing', dictionary(a=tensor(storage(key="../data.pkl"))))
    two = dictionary(a=tensor(), b=tensor(storage(kind="torch.HalfStorage", elements=12)))
    refused("two_types.bin", 'storage "0" is of two types or sizes', two)
    function = dictionary(a=tensor(storage(kind="torch._utils._rebuild_tensor")))
    refused("function_as_storage.bin", "is of type torch._utils._rebuild_tensor", function)


def patched(name: str, reason: str, at, value: bytes, **options) -> None:
    """A container with some bytes overwritten; `at` finds their place in it."""
    container(FOLDER / name, dictionary(a=tensor()), **options)
    data = bytearray((FOLDER / name).read_bytes())
    place = at(bytes(data))
    data[place : place + len(value)] = value
    (FOLDER / name).write_bytes(data)
    hostile[name] = reason


def write_hostile_containers() -> None:
    good = dictionary(a=tensor())
    refused("compressed.bin", '"archive/data.pkl" is compressed', good, compression=zipfile.ZIP_DEFLATED)
    bomb = dictionary(a=tensor(storage(elements=2_500_000), shape=(5, 500_000), strides=(500_000, 1)))
    refused("bomb.bin", "is compressed", bomb, storages={"0": bytes(10_000_000)}, compression=zipfile.ZIP_DEFLATED)
    second = lambda data: data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    end = lambda data: data.rindex(b"PK\x05\x06")
    patched("overlapping.bin", "overlaps another", lambda data: second(data) + 42, struct.pack("<I", 1))
    patched("same_place.bin", "overlaps another", lambda data: second(data) + 42, struct.pack("<I", 0))
    patched("long_record.bin", "reaches beyond the records", lambda data: second(data) + 20, struct.pack("<II", 10**9, 10**9))
    patched("far_record.bin", "begins beyond the records", lambda data: second(data) + 42, struct.pack("<I", 10**9))
    patched("zip64_record.bin", "lacks its zip64 sizes", lambda data: second(data) + 20, b"\xff" * 8)
    patched("encrypted.bin", "is encrypted", lambda data: second(data) + 8, b"\x01\x00")
    patched("no_header.bin", "has no header", lambda data: data.index(b"PK\x03\x04", 1), b"PK\x03\x05")
    patched("directory.bin", "directory reaches beyond", lambda data: end(data) + 16, struct.pack("<I", 10**9))
    patched("large_directory.bin", "directory claims 4294967295 bytes", lambda data: end(data) + 12, b"\xff" * 4)
    patched("count.bin", "has 2 records where it claims 65535", lambda data: end(data) + 10, b"\xff\xff")
    patched("damaged_directory.bin", "directory is damaged", second, b"PK\x01\x01")
    patched("cut.bin", "end of the zip file is missing", end, b"PK\x05\x05")
    refused("twice.bin", 'two records "archive/data.pkl"', good, extra=[("archive/data.pkl", b"other")])
    refused("big_endian.bin", "not written on a little-endian machine", good, extra=[("archive/byteorder", b"big")])
    refused("other_folder.bin", "has no data.pkl", good)
    with zipfile.ZipFile(FOLDER / "other_folder.bin", "w") as archive:
        archive.writestr("../../etc/passwd", b"")
        archive.writestr("archive/data.pkl", good)
    (FOLDER / "pointer.bin").write_text("version https://example.org/spec/v1\noid sha256:00\nsize 5\n")
    hostile["pointer.bin"] = "torch.save did not write it (is it a pointer to the file?)"
    (FOLDER / "no_bytes.bin").write_bytes(b"")
    hostile["no_bytes.bin"] = "torch.save did not write it"
    big_legacy = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}]
    (FOLDER / "legacy_big_endian.bin").write_bytes(b"".join(pickle.dumps(value, 2) for value in big_legacy))
    hostile["legacy_big_endian.bin"] = "not written on a little-endian machine"
    head = b"".join(pickle.dumps(value, 2) for value in (*big_legacy[:2], {"little_endian": True})) + good
    for name, tail, reason in (
        ("count", pickle.dumps(["0"], 2) + struct.pack("<q", -1) + bytes(24), "has 18446744073709551615 elements where"),
        ("short", pickle.dumps(["0"], 2) + struct.pack("<q", 6) + bytes(23), 'storage "0" reaches beyond its end'),
        ("twice", pickle.dumps(["0", "0"], 2) + (struct.pack("<q", 6) + bytes(24)) * 2, "list of storages is not that"),
        ("unknown", pickle.dumps(["1"], 2) + struct.pack("<q", 6) + bytes(24), "list of storages is not that"),
        ("none", pickle.dumps([], 2), 'storage "0" is missing'),
    ):
        (FOLDER / f"legacy_{name}.bin").write_bytes(head + tail)
        hostile[f"legacy_{name}.bin"] = reason


def main() -> None:
    write_sound()
    write_hostile_pickles()
    write_hostile_sizes()
    write_hostile_containers()
    (FOLDER / "expected.json").write_text(json.dumps({"sound": sound, "hostile": hostile}))


main()
