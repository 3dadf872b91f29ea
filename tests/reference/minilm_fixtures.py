# The pretrained MiniLM checkpoint on a dozen awkward texts: token ids, hidden states, pooler output, logits.
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertForSequenceClassification

from fixtures import deterministic, numbers, versions, write_json

CHECKPOINT = Path(sys.argv[1])  # make.py says where
MAXIMUM_LENGTH, TOLERANCE = 256, 1e-5
FORMULA = "weight[i][j] = 0.5 * sin(1 + i * hiddenSize + j), bias = [0.1, -0.1]; computed in float64, then rounded"
LONG = "Dear colleague, the quarterly report that you asked for on Tuesday is attached, all 42 pages of it. "
TEXTS = [
    ["Congratulations, you have won a free holiday!"],
    ["Are we still meeting at ten tomorrow?"],
    ["ok"],
    [""],
    [" \t\n "],
    [LONG * 20],
    ["Where was the treaty signed?", "The treaty was signed in Lisbon in December 2007."],
    ["What does the report say? " * 12, LONG * 20],
    ["Žluťoučký kůň naïvely ate 3 crêpes – déjà vu; ﬁnance in Å and İstanbul"],
    ["東京で会議があります。 Приве́т мир! مرحبا 🎉👩‍👩‍👧 ½ \u200b\ufeff\u0000end"],
    ["http://example.org/a?b=c&d=%20 me@example.org $1,000.00 (50% OFF!!!) C++ [SEP] [MASK] <br/>"],
    ["antidisestablishmentarianism " + "x" * 120 + " SHOUTING CamelCase snake_case"],
]


def load(attention: str) -> BertForSequenceClassification:
    model = BertForSequenceClassification.from_pretrained(
        CHECKPOINT, num_labels=2, attn_implementation=attention, dtype=torch.float32
    ).eval()
    weight = model.classifier.weight
    numbering = torch.arange(weight.numel(), dtype=torch.float64).reshape(weight.shape)
    weight.data = (0.5 * torch.sin(1 + numbering)).float()
    model.classifier.bias.data = torch.tensor([0.1, -0.1])
    return model


def forward(model, inputs) -> dict[str, torch.Tensor]:
    output = model.bert(**inputs)
    return {
        "hidden": output.last_hidden_state,
        "pooled": output.pooler_output,
        "logits": model.classifier(output.pooler_output),
    }


def check_tokenizer(encoded: list) -> None:
    """The checkpoint's tokenizer.json alone, with its stored padding and truncation replaced, gives the same ids."""
    tokenizer = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAXIMUM_LENGTH)
    for texts, inputs in zip(TEXTS, encoded):
        assert tokenizer.encode(*texts).ids == inputs["input_ids"][0].tolist(), texts


def difference(single: list[dict], other: list[dict]) -> float:
    return max((a["logits"] - b["logits"]).abs().max().item() for a, b in zip(single, other))


def record(texts: list[str], inputs, output: dict) -> dict:
    return {
        "texts": texts,
        "inputIds": inputs["input_ids"][0].tolist(),
        "tokenTypeIds": inputs["token_type_ids"][0].tolist(),
        "firstHidden": numbers(output["hidden"][0, 0]),
        "meanHidden": numbers(output["hidden"][0].mean(0)),
        "pooled": numbers(output["pooled"][0]),
        "logits": output["logits"][0].tolist(),
    }


@torch.no_grad()
def main() -> None:
    deterministic()
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    options = {"truncation": "longest_first", "max_length": MAXIMUM_LENGTH, "return_tensors": "pt"}
    eager, sdpa = load("eager"), load("sdpa")

    encoded = [tokenizer(*texts, **options) for texts in TEXTS]
    check_tokenizer(encoded)
    outputs = [forward(eager, inputs) for inputs in encoded]
    pairs = [(texts[0], texts[1]) if len(texts) == 2 else texts[0] for texts in TEXTS]
    padded = forward(eager, tokenizer(pairs, padding=True, **options))["logits"]

    agreement = {
        "sdpa": difference(outputs, [forward(sdpa, inputs) for inputs in encoded]),
        "padded": difference(outputs, [{"logits": row} for row in padded]),
    }
    assert max(agreement.values()) < TOLERANCE, agreement
    write_json(
        "minilm.json",
        {
            "versions": versions(),
            "maxLength": MAXIMUM_LENGTH,
            "classifier": FORMULA,
            "largestDifferenceOfLogits": agreement,
            "records": [record(*row) for row in zip(TEXTS, encoded, outputs)],
        },
    )


if __name__ == "__main__":
    main()
