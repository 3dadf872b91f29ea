"""Writes Parquet files as pyarrow and `datasets` do into a folder, and prints what pyarrow reads in them as JSON."""

import json
import math
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
random.seed(7)

WORDS = ["the", "film", "était", "очень", "好", "🙂", "שלום", "a\u0301", "\ufeffmark", "tab\there", "line\nbreak", "\x00", ""]


def sentence() -> str:
    return " ".join(random.choices(WORDS, k=random.randint(0, 9)))


def table(rows: int) -> pa.Table:
    return pa.table(
        {
            "text": pa.array([sentence() for _ in range(rows)], pa.string()),
            "repeated": pa.array([random.choice(["yes", "no", "peut-être"]) for _ in range(rows)], pa.large_string()),
            "small": pa.array([random.randint(-128, 127) for _ in range(rows)], pa.int8()),
            "int32": pa.array([random.randint(-(2**31), 2**31 - 1) for _ in range(rows)], pa.int32()),
            "int64": pa.array([random.randint(-(2**63), 2**63 - 1) for _ in range(rows)], pa.int64()),
            "uint32": pa.array([random.randint(0, 2**32 - 1) for _ in range(rows)], pa.uint32()),
            "uint64": pa.array([random.randint(0, 2**64 - 1) for _ in range(rows)], pa.uint64()),
            "half": pa.array([random.uniform(-9, 9) for _ in range(rows)], pa.float16()),
            "float": pa.array([round(random.uniform(-5, 5), 3) for _ in range(rows)], pa.float32()),
            "double": pa.array([random.gauss(0, 1) * 10.0 ** random.randint(-20, 20) for _ in range(rows)], pa.float64()),
            "flag": pa.array([random.random() < 0.5 for _ in range(rows)], pa.bool_()),
            "one": pa.array(["the same"] * rows, pa.string()),
        },
        # Half of the columns cannot be null: their pages have no levels.
        schema=pa.schema(
            [
                pa.field("text", pa.string()),
                pa.field("repeated", pa.large_string(), nullable=False),
                pa.field("small", pa.int8(), nullable=False),
                pa.field("int32", pa.int32()),
                pa.field("int64", pa.int64(), nullable=False),
                pa.field("uint32", pa.uint32()),
                pa.field("uint64", pa.uint64(), nullable=False),
                pa.field("half", pa.float16()),
                pa.field("float", pa.float32()),
                pa.field("double", pa.float64(), nullable=False),
                pa.field("flag", pa.bool_()),
                pa.field("one", pa.string()),
            ]
        ),
    )


LAYOUTS = {
    "snappy": dict(compression="snappy"),
    "gzip": dict(compression="gzip"),
    "zstd": dict(compression="zstd"),
    "brotli": dict(compression="brotli"),
    "none": dict(compression="none"),
    "plain": dict(compression="none", use_dictionary=False),
    "groups": dict(row_group_size=37, data_page_size=256, write_batch_size=16),
    "pages_v2": dict(data_page_version="2.0", data_page_size=512, write_batch_size=16),
    "pages_v2_none": dict(data_page_version="2.0", compression="none", use_dictionary=False),
    "delta": dict(
        use_dictionary=False,
        data_page_version="2.0",
        column_encoding={
            "text": "DELTA_LENGTH_BYTE_ARRAY",
            "int32": "DELTA_BINARY_PACKED",
            "int64": "DELTA_BINARY_PACKED",
            "float": "BYTE_STREAM_SPLIT",
            "double": "BYTE_STREAM_SPLIT",
            "flag": "RLE",
        },
    ),
    "checksums": dict(write_page_checksum=True, write_page_index=True, store_schema=False),
}


def as_text(value, column: str) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    # Floats go as numbers: only their digits differ between languages.
    return value if isinstance(value, (str, float)) else str(value)


def described(path: Path) -> dict:
    read = pq.read_table(path)
    return {
        "path": str(path),
        "columns": read.column_names,
        "rows": [[as_text(value, name) for name, value in row.items()] for row in read.to_pylist()],
    }


def huggingface(features: dict) -> dict:
    """The metadata that `datasets` puts into a Parquet file's schema."""
    return {"huggingface": json.dumps({"info": {"features": features}})}


def label(names: list[str]) -> dict:
    return {"names": names, "_type": "ClassLabel"}


def value(dtype: str) -> dict:
    return {"dtype": dtype, "_type": "Value"}


def write_labelled() -> None:
    features = {"text": value("string"), "label": label(["negative", "positive"]), "topic": label(["0", "a b", "ü"])}
    schema = pa.schema(
        [pa.field("text", pa.string()), pa.field("label", pa.int64()), pa.field("topic", pa.int64())],
        metadata=huggingface(features),
    )
    columns = {"text": ["good", "bad", "fine"], "label": [1, 0, 1], "topic": [2, 0, 1]}
    pq.write_table(pa.table(columns, schema=schema), folder / "labelled.parquet")
    pq.write_table(pa.table({**columns, "label": [-1, -1, -1]}, schema=schema), folder / "hidden.parquet")
    pq.write_table(pa.table({**columns, "label": [1, 2, 0]}, schema=schema), folder / "beyond.parquet")
    pq.write_table(pa.table({**columns, "label": [1, None, 0]}, schema=schema), folder / "null_label.parquet")


def write_odd() -> None:
    odd = pa.table(
        {
            "text": ["a", "b", "c"],
            "null": pa.array(["x", None, "z"]),
            "nothing": pa.nulls(3),
            "list": [[1], [], [2, 3]],
            "struct": [{"a": 1}] * 3,
            "binary": [b"\x00", b"\xff", b""],
            "date": pa.array([1, 2, 3], pa.date32()),
            "time": pa.array([1, 2, 3], pa.timestamp("us")),
            "decimal": pa.array([1, 2, 3], pa.decimal128(5, 2)),
            "a.b": ["p", "q", "r"],
            "__proto__": ["s", "t", "u"],
        }
    )
    pq.write_table(odd, folder / "odd.parquet")
    pq.write_table(odd.slice(0, 0), folder / "no_rows.parquet")
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), folder / "twice.parquet")
    pq.write_table(pa.table({"text": ["a"]}), folder / "lz4.parquet", compression="lz4")
    prefixed = pa.table({"text": ["ab", "abc"]})
    pq.write_table(
        prefixed, folder / "prefixed.parquet", use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"}
    )
    huge = "".join(random.choices("abcdefgh ", k=3_000_000))
    pq.write_table(pa.table({"text": [huge, "x", huge[::-1]], "label": [0, 1, 0]}), folder / "huge.parquet")
    repeated = pa.table({"text": ["the same text again"] * 900_000, "label": [0] * 900_000})
    pq.write_table(repeated, folder / "repeated.parquet")
    # A bomb: zeros that unpack to 3,000 times the file.
    zeros = pa.table({"text": ["\0" * 2**20 + str(row) for row in range(300)]})
    pq.write_table(zeros, folder / "bomb.parquet", compression="zstd", use_dictionary=False)


write_labelled()
write_odd()
written = {}
for name, options in LAYOUTS.items():
    path = folder / f"{name}.parquet"
    pq.write_table(table(500 if name != "none" else 1), path, **options)
    written[name] = described(path)
odd_floats = pa.table({"float": pa.array([math.nan, math.inf, -0.0, 0.1, 3.4e38], pa.float32())})
pq.write_table(odd_floats, folder / "odd_floats.parquet")
json.dump(written, sys.stdout)
