# What transformers says of texts and pairs of texts, with checkpoints and tokenizers of every architecture that it saved
# for classification and regression.
import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedTokenizerFast

from architectures import ARCHITECTURES, MAXIMUM_LENGTH, NAMES, VOCABULARY, create, labelled
from fixtures import deterministic

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
WORD_PIECES = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
TEXTS = [
    "The film was good.",
    "the film was not very good, was it?",
    "  Two  spaces, a tab\there, and CAPITALS  ",
    "naïve café – Ünïcode “quotes” 😀 日本語",
    "a",
    "",
    "far too long a text for so few positions " * 12,
]
PAIRS = [
    ("The film was good.", "It was a good film."),
    ("a short one", "and a long one, a much longer one, " * 20),
    ("both of them long, " * 20, "and so is this, " * 20),
    ("same", "same"),
]


def word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    train(tokenizer, trainers.WordPieceTrainer(show_progress=False, vocab_size=VOCABULARY, special_tokens=WORD_PIECES))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 0))
    return tokenizer


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    train(tokenizer, trainers.BpeTrainer(show_progress=False, vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet))
    return tokenizer


def roberta() -> Tokenizer:
    tokenizer = byte_level()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def xlm_roberta() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    train(tokenizer, trainers.UnigramTrainer(show_progress=False, vocab_size=VOCABULARY, special_tokens=SPECIAL, unk_token="<unk>"))
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    return tokenizer


def opt() -> Tokenizer:
    tokenizer = byte_level()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="</s> $A", pair="</s> $A </s> $B", special_tokens=[("</s>", 2)]
    )
    return tokenizer


TOKENIZERS = {
    "bert": (word_piece, WORD_PIECES),
    "distilbert": (word_piece, WORD_PIECES),
    "roberta": (roberta, SPECIAL),
    "xlm-roberta": (xlm_roberta, SPECIAL),
    "opt": (opt, SPECIAL),
}


def train(tokenizer: Tokenizer, trainer) -> None:
    tokenizer.train_from_iterator([*TEXTS, *(text for pair in PAIRS for text in pair)], trainer)


def save_tokenizer(model_type: str, folder: Path) -> None:
    make, (begin, pad, end, unknown) = TOKENIZERS[model_type]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=make(),
        cls_token=begin,
        pad_token=pad,
        sep_token=end,
        unk_token=unknown,
        model_max_length=MAXIMUM_LENGTH,
        model_input_names=["input_ids", *(["token_type_ids"] if model_type == "bert" else []), "attention_mask"],
    )
    tokenizer.save_pretrained(folder)


def predict(folder: Path, texts: list) -> list[dict]:
    """What a user of transformers gets: softmax, or for labels of which a text may have several, the sigmoid of each."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [answer(model, tokenizer(*text, truncation=True, return_tensors="pt")) for text in texts]


def answer(model, inputs) -> dict:
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    if model.config.num_labels == 1:
        return {"value": logits[0].item()}
    several = model.config.problem_type == "multi_label_classification"
    scores = torch.sigmoid(logits) if several else torch.softmax(logits, -1)
    best = scores.argmax().item()
    return {"label": model.config.id2label[best], "score": scores[best].item(), "logits": logits.tolist()}


def main() -> None:
    deterministic()
    out, results = Path(sys.argv[1]), []
    texts, pairs = [[text] for text in TEXTS], [list(pair) for pair in PAIRS]
    for name, (model_type, _) in ARCHITECTURES.items():
        kinds = {
            name: labelled(NAMES),
            f"{name}-multi-label": labelled(NAMES) | {"problem_type": "multi_label_classification"},
            f"{name}-regression": {"num_labels": 1},
        }
        for kind, others in kinds.items():
            create(name, **others).save_pretrained(out / kind)
            save_tokenizer(model_type, out / kind)
            answers = {"texts": predict(out / kind, texts), "pairs": predict(out / kind, pairs)}
            results.append({"name": kind} | answers)
    (out / "predictions.json").write_text(json.dumps({"texts": TEXTS, "pairs": PAIRS, "results": results}))


if __name__ == "__main__":
    main()
