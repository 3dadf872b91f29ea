"""Writes a few rows of GLUE's tasks into a folder, in the layout of the hub's dataset, as `datasets` writes Parquet."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1])

TASKS = {
    "cola": (["sentence"], ["unacceptable", "acceptable"]),
    "sst2": (["sentence"], ["negative", "positive"]),
    "mrpc": (["sentence1", "sentence2"], ["not_equivalent", "equivalent"]),
    "qqp": (["question1", "question2"], ["not_duplicate", "duplicate"]),
    "mnli": (["premise", "hypothesis"], ["entailment", "neutral", "contradiction"]),
    "qnli": (["question", "sentence"], ["entailment", "not_entailment"]),
    "rte": (["sentence1", "sentence2"], ["entailment", "not_entailment"]),
    "stsb": (["sentence1", "sentence2"], None),
}

SPLITS = {"mnli": ["train", "validation_matched", "validation_mismatched", "test_matched", "test_mismatched"]}

TEXTS = [
    'He said "no', "\"Both\" of them, “quoted”", "it 's a charming film . ", "a tab\tand\nlines\r\nhere", "日本 🙂 é", "x" * 300,
]


def feature(kind: str, **more) -> dict:
    return {**more, "_type": kind}


def write(config: str, split: str, rows: int) -> None:
    columns, names = TASKS[config]
    is_test = split.startswith("test")
    texts = {column: [f"{TEXTS[(row + at) % 6]}" for row in range(rows)] for at, column in enumerate(columns)}
    scores = [0.0, 3.8, 5.0, 2.917, 1.25, 0.333]
    if names is None:
        labels = pa.array([-1.0 if is_test else scores[row % 6] for row in range(rows)], pa.float32())
        label = feature("Value", dtype="float32")
    else:
        labels = pa.array([-1 if is_test else row % len(names) for row in range(rows)], pa.int64())
        label = feature("ClassLabel", names=names)
    features = {
        **{column: feature("Value", dtype="string") for column in columns},
        "label": label,
        "idx": feature("Value", dtype="int32"),
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({**texts, "label": labels, "idx": pa.array(range(rows), pa.int32())})
    path = folder / config / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path)


card = ["---", "configs:"]
for config in TASKS:
    card += [f"- config_name: {config}", "  data_files:"]
    for split in SPLITS.get(config, ["train", "validation", "test"]):
        write(config, split, 12 if split == "train" else 7)
        card += [f"  - split: {split}", f"    path: {config}/{split}-*"]
(folder / "README.md").write_text("\n".join([*card, "---", "# GLUE", ""]))
