# Full fine-tuning of a GLUE task by transformers' own Trainer: what Fewtune's results are held against.
#
# Reads one JSON object from standard input: model (a folder), head (mean, or cls: the architecture's standard one), train
# and dev (rows of text, textPair and label), labels (their number; 1 is a regression), maxLength, and the settings of the
# run. Writes one with the predictions for dev (a list for each example) the number of steps, and versions.

import json
import os
import sys
import tempfile

import accelerate
import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding
from transformers import Trainer, TrainingArguments

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "src", "models"))


def mean_model(folder, labels):
    """The base's weights under the head on the mean, in the classes that Fewtune saves beside such a model."""
    from modeling_fewtune import FewtuneConfig, FewtuneForSequenceClassification

    base = AutoConfig.from_pretrained(folder)
    about = {"model_type": base.model_type, "base_prefix": base.model_type}
    fields = base.to_dict() | {"num_labels": labels}
    model = FewtuneForSequenceClassification(FewtuneConfig(fewtune=about, **fields))
    weights = transformers.AutoModel.from_pretrained(folder).state_dict()
    missing, _ = model.base_model.load_state_dict(weights, strict=False)
    assert not missing, missing
    return model


def make_model(folder, head, labels):
    if head == "mean":
        return mean_model(folder, labels)
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=labels)


def encode(tokenizer, rows, max_length, labels):
    pairs = [row.get("textPair") for row in rows]
    encoded = tokenizer(
        [row["text"] for row in rows], pairs if pairs[0] is not None else None, truncation=True, max_length=max_length
    )
    kind = float if labels == 1 else int
    return [
        {name: values[i] for name, values in encoded.items()} | {"labels": kind(row["label"])}
        for i, row in enumerate(rows)
    ]


def main():
    job = json.load(sys.stdin)
    seed, labels, batch = job["seed"], job["labels"], job["batchSize"]
    transformers.set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    model = make_model(job["model"], job["head"], labels)
    train = encode(tokenizer, job["train"], job["maxLength"], labels)
    dev = encode(tokenizer, job["dev"], job["maxLength"], labels)
    total = job["epochs"] * -(-len(train) // batch)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            seed=seed,
            per_device_train_batch_size=batch,
            per_device_eval_batch_size=32,
            num_train_epochs=job["epochs"],
            learning_rate=job["learningRate"],
            weight_decay=job["weightDecay"],
            max_grad_norm=job["maxGradNorm"],
            lr_scheduler_type="linear",
            warmup_steps=int(job["warmupRatio"] * total),
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer))
        trainer.train()
        logits = trainer.predict(dev).predictions
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__}
    versions["accelerate"] = accelerate.__version__
    result = {"logits": logits.tolist(), "steps": trainer.state.global_step, "versions": versions}
    json.dump(result, sys.__stdout__)


main()
