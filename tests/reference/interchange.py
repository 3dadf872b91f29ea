# What transformers and PEFT make of the folders that Fewtune saved, and folders that they save themselves.
#
# In PLACE/ARCHITECTURE there are `base`, `standard`, `mean`, `adapter_standard` and `adapter_mean`, as Fewtune saved them,
# and in PLACE/ARCHITECTURE/preceding adapters of what stands before texts.
# Standard input: {"sequences": [{"inputIds", "tokenTypeIds"}], "texts": [...]}; standard output: what was found, as JSON.
# What these libraries save themselves goes to PLACE/ARCHITECTURE/theirs/NAME.
import json
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
import transformers
from peft import AutoPeftModelForSequenceClassification, IA3Config, LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

PROJECTIONS = {"opt": "q_proj v_proj", "distilbert": "q_lin v_lin"}
FEED_FORWARD = {"opt": "fc2", "distilbert": "lin2"}


def collate(model, sequences: list[dict]) -> dict:
    length = max(len(each["inputIds"]) for each in sequences)
    pad = lambda ids, value: ids + [value] * (length - len(ids))
    batch = {
        "input_ids": [pad(each["inputIds"], model.config.pad_token_id or 0) for each in sequences],
        "attention_mask": [pad([1] * len(each["inputIds"]), 0) for each in sequences],
    }
    if getattr(model.config, "type_vocab_size", 0) > 1:
        batch["token_type_ids"] = [pad(each["tokenTypeIds"], 0) for each in sequences]
    return {name: torch.tensor(rows) for name, rows in batch.items()}


@torch.no_grad()
def described(model, sequences: list[dict], **more) -> dict:
    model.eval()
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    return {"logits": model(**collate(model, sequences)).logits.tolist(), "labels": labels, **more}


def strictly(folder: Path, **options):
    """A model, after making sure that all its weights were in the folder and all the folder's in it."""
    load = AutoModelForSequenceClassification.from_pretrained
    model, info = load(folder, output_loading_info=True, **options)
    assert not any(info[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model


def adapted(base, folder: Path) -> tuple[PeftModel, list[str]]:
    """The base with an adapter, and the keys that one of the two lacks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PeftModel.from_pretrained(base, folder)
        result = model.load_adapter(folder, "default")
    return model, [*result.missing_keys, *result.unexpected_keys]


def refusal(call) -> str:
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was refused"


def classified(folder: Path, texts: list[str], **options) -> list[dict]:
    classify = pipeline("text-classification", model=str(folder), **options)
    return classify(texts, batch_size=len(texts), padding=True) if len(texts) > 1 else classify(texts)


def load_ours(place: Path, sequences: list[dict], texts: list[str]) -> dict:
    load = AutoModelForSequenceClassification.from_pretrained
    trusted = {"trust_remote_code": True}
    mean, standard = place / "mean", place / "standard"
    found = {
        "standard": described(strictly(standard), sequences),
        "mean": described(strictly(mean, **trusted), sequences, texts=classified(mean, texts, **trusted)),
        "untrusted": [refusal(lambda: each.from_pretrained(mean, trust_remote_code=False)) for each in
                      (AutoConfig, AutoModelForSequenceClassification)],
        "alone": described_alone(strictly(mean, **trusted), sequences),
    }
    tokenizer = AutoTokenizer.from_pretrained(mean, **trusted)
    found["ids"] = tokenizer(texts, padding=True, truncation=True)["input_ids"]

    folder = place / "adapter_standard"
    config = AutoConfig.from_pretrained(folder)
    for name in ("adapter_standard", "adapter_dora", "adapter_ia3"):
        model, keys = adapted(load(place / "base", config=config), place / name)
        found[name] = described(model, sequences, keys=keys)
    names = {"num_labels": config.num_labels, "id2label": config.id2label, "label2id": config.label2id}
    model = AutoPeftModelForSequenceClassification.from_pretrained(folder, ignore_mismatched_sizes=True, **names)
    found["auto_adapter"] = described(model, sequences)

    folder = place / "adapter_mean"
    config = AutoConfig.from_pretrained(folder, **trusted)
    model, keys = adapted(load(place / "base", config=config, **trusted), folder)
    found["adapter_mean"] = described(model, sequences, keys=keys)
    bare = load(place / "base")
    found["bare"] = refusal(lambda: PeftModel.from_pretrained(bare, folder))
    for folder in sorted((place / "preceding").iterdir()):
        config = AutoConfig.from_pretrained(folder, **trusted)
        model, _ = adapted(load(place / "base", config=config, **trusted), folder)
        found[folder.name] = described_one_by_one(model, sequences)
    return found


@torch.no_grad()
def described_one_by_one(model, sequences: list[dict]) -> dict:
    """Without padding, of which transformers' OPT knows nothing where it is given embeddings."""
    model.eval()
    return {"logits": [model(**collate(model, [each])).logits[0].tolist() for each in sequences]}


def described_alone(model, sequences: list[dict]) -> list[list[float]]:
    """The logits of each sequence by itself, without padding and without a mask."""
    model.eval()
    batches = [collate(model, [each]) for each in sequences]
    for batch in batches:
        del batch["attention_mask"]
    with torch.no_grad():
        return [model(**batch).logits[0].tolist() for batch in batches]


def shaken(model):
    """Every trained value is other than where it starts from."""
    generator = torch.Generator().manual_seed(31)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def save_theirs(place: Path, sequences: list[dict]) -> dict:
    base, theirs, found = place / "base", place / "theirs", {}

    def save(name: str, model) -> None:
        shaken(model).save_pretrained(theirs / name)
        found[name] = described(model, sequences)

    load = AutoModelForSequenceClassification.from_pretrained
    save("standard", load(place / "standard"))
    save("mean", load(place / "mean", trust_remote_code=True))
    save("more_labels", load(base, num_labels=5, ignore_mismatched_sizes=True))
    targets = PROJECTIONS.get(place.name, "query value").split()
    lora = {"task_type": "SEQ_CLS", "r": 4, "lora_alpha": 12, "target_modules": targets}
    variants = {
        "list": {},
        "regex": {"target_modules": rf".*\.1\..*\.({'|'.join(targets)})"},
        # PEFT cannot both adapt DistilBERT's pre_classifier and, by the end of its name, save it.
        "all_linear": {"target_modules": "all-linear", "exclude_modules": ["pre_classifier"]},
        "rank_stabilised": {"use_rslora": True},
        "dropout": {"lora_dropout": 0.5},
        "one_label": {"modules_to_save": ["classifier", "score"]},
        "use_dora": {"use_dora": True},
        "bias": {"bias": "lora_only"},
        "rank_pattern": {"rank_pattern": {targets[0]: 2}},
        "alpha_pattern": {"alpha_pattern": {targets[0]: 2}},
        "lora_bias": {"lora_bias": True},
    }
    for name, changes in variants.items():
        fresh = load(base, num_labels=1 if name == "one_label" else 3, ignore_mismatched_sizes=True)
        save(name, get_peft_model(fresh, LoraConfig(**lora | changes)))
    inner = [FEED_FORWARD.get(place.name, "output.dense")]
    # PEFT would leave out BERT's pooler, which is a part of its head.
    head = ["pooler"] if place.name == "bert" else None
    ia3 = IA3Config(
        task_type="SEQ_CLS", target_modules=[*targets, *inner], feedforward_modules=inner, modules_to_save=head
    )
    save("ia3", get_peft_model(load(base, num_labels=3, ignore_mismatched_sizes=True), ia3))
    return found


def main(place: str) -> None:
    transformers.logging.set_verbosity_error()
    given = json.load(sys.stdin)
    found = {}
    with redirect_stdout(sys.stderr):
        for folder in sorted(Path(place).iterdir()):
            ours = load_ours(folder, given["sequences"], given["texts"])
            found[folder.name] = {"ours": ours, "theirs": save_theirs(folder, given["sequences"])}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
