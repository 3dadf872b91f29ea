# The logits of exported models by onnxruntime, beside those of transformers for the models that they were exported from.
#
# Standard input: {"models": [{"exported", "original"}], "batches": [[[ids of a text], ...], ...]}; standard output: for
# each model the names and sizes of its inputs, and for each batch, padded to its longest text, both logits.
import json
import sys
from contextlib import redirect_stdout

import numpy
import onnx
import onnxruntime
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging


def collate(batch: list[list[int]], pad: int) -> dict:
    length = max(len(ids) for ids in batch)
    rows = [ids + [pad] * (length - len(ids)) for ids in batch]
    mask = [[1] * len(ids) + [0] * (length - len(ids)) for ids in batch]
    arrays = {"input_ids": rows, "attention_mask": mask, "token_type_ids": [[0] * length for _ in rows]}
    return {name: numpy.array(array, dtype=numpy.int64) for name, array in arrays.items()}


@torch.no_grad()
def compared(exported: str, original: str, batches: list) -> dict:
    file = f"{exported}/onnx/model.onnx"
    onnx.checker.check_model(file, full_check=True)
    session = onnxruntime.InferenceSession(file)
    model = AutoModelForSequenceClassification.from_pretrained(original, trust_remote_code=True).eval()
    config = AutoConfig.from_pretrained(exported)
    results = []
    for batch in batches:
        arrays = collate(batch, config.pad_token_id or 0)
        fed = {given.name: arrays[given.name] for given in session.get_inputs()}
        logits = session.run(["logits"], fed)[0]
        reference = model(**{name: torch.from_numpy(array) for name, array in fed.items()}).logits
        results.append({"exported": logits.tolist(), "reference": reference.tolist()})
    return {
        "inputs": {given.name: given.shape for given in session.get_inputs()},
        "modelType": config.model_type,
        "labels": [config.id2label[index] for index in range(config.num_labels)],
        "ids": AutoTokenizer.from_pretrained(exported)(["bad film"])["input_ids"][0],
        "batches": results,
    }


def main() -> None:
    logging.set_verbosity_error()
    given = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        found = [compared(**model, batches=given["batches"]) for model in given["models"]]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
