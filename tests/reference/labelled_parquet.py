"""Writes reviews of standard input (lines of JSON: text, label) as Parquet in parts into a folder, as `datasets` does."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
rows = [json.loads(line) for line in sys.stdin]

# In the order of a dataset's ids, which is not that of the alphabet.
names = ["good", "bad"]
features = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": names, "_type": "ClassLabel"},
    "picture": {"_type": "Image"},
}


def write(path: str, some: list[dict], hidden: bool = False, named: bool = True) -> None:
    table = pa.table(
        {
            "text": [row["text"] for row in some],
            "label": pa.array([-1 if hidden else names.index(row["label"]) for row in some], pa.int64()),
            "picture": [{"bytes": b"\x89PNG", "path": None}] * len(some),
        }
    )
    if named:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / path)


half = len(rows) // 2
write("data/train-00000-of-00002.parquet", rows[:half])
write("data/train-00001-of-00002.parquet", rows[half:])
write("data/validation-00000-of-00001.parquet", rows[:18])
write("data/test-00000-of-00001.parquet", rows[:6], hidden=True)
write("nameless.parquet", rows[:4], named=False)
