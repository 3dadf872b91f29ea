"""Folders as they were before tokenizer.json, and what transformers' AutoTokenizer makes of them.

Reads tokenizers and cases.json from the folder that tokenizer_parity.py wrote, and writes into OUT a folder NAME for
each, and NAME.json with the ids and segments of every case.
Needs: transformers, sentencepiece. Usage: tokenizer_legacy.py PARITY OUT
"""
import io
import json
import pathlib
import sys

import sentencepiece
from transformers import AutoTokenizer

import tokenizer_texts

PARITY, OUT = map(pathlib.Path, sys.argv[1:])


def token(content, **options):
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, **options}


def marked(content):
    return {"__type": "AddedToken", **token(content)}


def model_of(name):
    return json.loads((PARITY / name / "tokenizer.json").read_text())["model"]


def write(name, files):
    folder = OUT / name
    folder.mkdir()
    for file, content in files.items():
        if isinstance(content, bytes):
            (folder / file).write_bytes(content)
        else:
            (folder / file).write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), newline="")


def bert(name, model_type, **files):
    vocabulary = model_of(name)["vocab"]
    lines = "".join(f"{piece}\n" for piece in sorted(vocabulary, key=vocabulary.get))
    return {"config.json": {"model_type": model_type}, "vocab.txt": lines, **{file + ".json": content for file, content in files.items()}}


def byte_pairs(name, model_type, **files):
    model = model_of(name)
    merges = "#version: 0.2\n" + "".join(" ".join(merge) + "\n" for merge in model["merges"])
    return {"config.json": {"model_type": model_type}, "vocab.json": model["vocab"], "merges.txt": merges,
            **{file + ".json": content for file, content in files.items()}}


def piece_model(**options):
    written = io.BytesIO()
    corpus = [text for text in tokenizer_texts.corpus() if len(text) < 2_000][:8_000]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=written, vocab_size=2_000, model_type="unigram", num_threads=1, minloglevel=2,
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, **options)
    return written.getvalue()


FOLDERS = {
    "bert": lambda: bert("bert_uncased", "bert"),
    "bert_cased": lambda: bert("bert_cased", "bert", tokenizer_config={"do_lower_case": False, "model_max_length": 512}),
    "bert_options": lambda: bert(
        "bert_characters", "bert",
        tokenizer_config={"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False},
        special_tokens_map={"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
        added_tokens={"[NEW]": len(model_of("bert_characters")["vocab"]), "renewal": len(model_of("bert_characters")["vocab"]) + 1}),
    "distilbert": lambda: bert("bert_uncased", "distilbert", tokenizer_config={"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True}),
    "roberta": lambda: byte_pairs("roberta", "roberta"),
    "roberta_map": lambda: byte_pairs(
        "roberta", "roberta", tokenizer_config={"model_max_length": 512, "add_prefix_space": True},
        special_tokens_map={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>",
                            "cls_token": "<s>", "mask_token": token("<mask>", lstrip=True)}),
    "opt": lambda: byte_pairs(
        "opt", "opt",
        tokenizer_config={"errors": "replace", "unk_token": marked("</s>"), "bos_token": marked("</s>"), "eos_token": marked("</s>"),
                          "pad_token": marked("<pad>"), "add_prefix_space": False, "add_bos_token": True, "tokenizer_class": "GPT2Tokenizer"},
        special_tokens_map={"bos_token": token("</s>"), "eos_token": token("</s>"), "unk_token": token("</s>"), "pad_token": token("<pad>")}),
    "gpt2": lambda: byte_pairs("opt", "opt", tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "pad_token": "<pad>"}),
    "opt_decoder": lambda: byte_pairs(
        "opt", "opt",
        tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_eos_token": True, "bos_token": "</s>",
                          "eos_token": "<end>", "unk_token": "</s>", "added_tokens_decoder": {
                              "1": {**token("<pad>", normalized=False), "special": True},
                              "2": {**token("</s>"), "special": True},
                              "3000": {**token("new", single_word=True), "special": False},
                              "3001": {**token("<end>"), "special": True}}}),
    "xlm_r": lambda: {"config.json": {"model_type": "xlm-roberta"}, "sentencepiece.bpe.model": piece_model()},
    "xlm_r_map": lambda: {
        "config.json": {"model_type": "xlm-roberta"}, "sentencepiece.bpe.model": piece_model(user_defined_symbols=["new", "[NEW]"]),
        "tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer", "truncation_side": "left"},
        "special_tokens_map.json": {"mask_token": token("<mask>", lstrip=True)}},
}


def encode(tokenizer, text, pair, length):
    """By lists: a pair that is an empty string would count as none."""
    encoding = tokenizer([text], pair if pair is None else [pair], truncation=True, max_length=max(length, 4), return_token_type_ids=True)
    types = encoding["token_type_ids"][0]
    return [encoding["input_ids"][0], types if any(types) else None]


if __name__ == "__main__":
    cases = json.loads((PARITY / "cases.json").read_text())[::3]
    for name, files in FOLDERS.items():
        write(name, files())
        tokenizer = AutoTokenizer.from_pretrained(OUT / name)
        (OUT / f"{name}.json").write_text(json.dumps([encode(tokenizer, *case) for case in cases], separators=(",", ":")))
