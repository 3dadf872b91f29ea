"""Trains tokenizers of the real configurations, and writes what they make of `tokenizer_texts.cases()`.

Writes into OUT: a folder NAME with tokenizer.json for each, NAME.json with the ids and segments of each case (null:
all 0), and cases.json. Needs: tokenizers, sentencepiece, protobuf. Usage: tokenizer_parity.py OUT
"""
import base64
import io
import json
import os
import pathlib
import sys
import unicodedata

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import tokenizer_texts

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FAIRSEQ = ["<s>", "<pad>", "</s>", "<unk>"]


def characters():
    """Every assigned character of which something may be left by a normalizer."""
    return [character for character in tokenizer_texts.assigned() if not character.isspace()]


def around(start, end, ids, between=None, pair_type=1):
    between = between or end
    return processors.TemplateProcessing(
        single=f"{start}:0 $A:0 {end}:0", pair=f"{start}:0 $A:0 {between}:0 $B:{pair_type} {end}:{pair_type}",
        special_tokens=[(token, ids(token)) for token in {start, end}])


def bert(corpus, vocabulary=None, **options):
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
                          if vocabulary else models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    if not vocabulary:
        trainer = trainers.WordPieceTrainer(vocab_size=5_000, special_tokens=BERT, limit_alphabet=1_500, show_progress=False)
        tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens(BERT)
    tokenizer.post_processor = around("[CLS]", "[SEP]", tokenizer.token_to_id)
    return tokenizer


def every_character():
    pieces = [piece for character in characters() for piece in (character, "##" + character)]
    return {piece: index for index, piece in enumerate([*BERT, *pieces])}


def byte_level(corpus, special, size, alphabet):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer


def roberta(corpus, alphabet=None):
    alphabet = pre_tokenizers.ByteLevel.alphabet() if alphabet is None else alphabet
    tokenizer = byte_level(corpus, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], 4_000, alphabet)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def opt(corpus):
    tokenizer = byte_level(corpus, ["<s>", "<pad>", "</s>", "<unk>"], 3_000, pre_tokenizers.ByteLevel.alphabet())
    tokenizer.add_special_tokens([AddedToken("</s>", normalized=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="</s>:0 $A:0", pair="</s>:0 $A:0 </s>:1 $B:1", special_tokens=[("</s>", 2)])
    return tokenizer


def sentence_piece(corpus, size, **options):
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=written, vocab_size=size, model_type="unigram",
        normalization_rule_name="nmt_nfkc", character_coverage=0.9995, hard_vocab_limit=False, num_threads=1, minloglevel=2,
        **options)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    return model


def xlm_r(model, newer=False, more=(), byte_fallback=False):
    pieces = [*((token, 0.0) for token in FAIRSEQ), *((piece.piece, piece.score) for piece in model.pieces[3:])]
    known = {piece for piece, _ in pieces}
    pieces += [(piece, -15.5) for piece in more if piece not in known]
    tokenizer = Tokenizer(models.Unigram([*pieces, ("<mask>", 0.0)], unk_id=3, byte_fallback=byte_fallback))
    charsmap = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    if newer:
        steps = [charsmap, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")]
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Sequence(steps), metaspace
    else:
        tokenizer.normalizer = charsmap
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([*FAIRSEQ, AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def others(form):
    """What none of these checkpoints has, and their descendants may: other normalizers, splitters and added tokens."""
    tokenizer = Tokenizer(models.WordPiece(every_character(), unk_token="[UNK]", max_input_chars_per_word=60))
    tokenizer.normalizer = normalizers.Sequence([
        form, normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Strip(), normalizers.Replace("q", "kw")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[aeiou]+"), "merged_with_next"), pre_tokenizers.Split("z", "contiguous")])
    tokenizer.add_tokens([
        AddedToken("new", single_word=True), AddedToken("NEW", single_word=True, normalized=False), AddedToken("strip", lstrip=True, rstrip=True),
        AddedToken("left", lstrip=True), AddedToken("right", rstrip=True), AddedToken("[NEW]", normalized=True), "renewal", "re"])
    tokenizer.add_special_tokens(BERT)
    return tokenizer


def build():
    corpus = tokenizer_texts.corpus()
    short = [text for text in corpus if len(text) < 2_000]
    plain, bytewise = sentence_piece(short, 4_000), sentence_piece(short, 2_000, byte_fallback=True)
    return {
        "bert_uncased": bert(corpus, lowercase=True),
        "bert_cased": bert(corpus, lowercase=False),
        "bert_characters": bert(corpus, every_character(), lowercase=True),
        "bert_cased_characters": bert(corpus, every_character(), lowercase=False, strip_accents=True, handle_chinese_chars=False),
        "bert_accents_characters": bert(corpus, every_character(), lowercase=True, strip_accents=False, clean_text=False),
        "roberta": roberta(corpus),
        "roberta_few_bytes": roberta(tokenizer_texts.PROSE, alphabet=[]),
        "opt": opt(corpus),
        "xlm_r": xlm_r(plain),
        "xlm_r_newer": xlm_r(plain, newer=True),
        "xlm_r_characters": xlm_r(plain, newer=True, more=characters()),
        "xlm_r_bytes": xlm_r(bytewise, newer=True, byte_fallback=True),
        "others_nfkc": others(normalizers.NFKC()),
        "others_nfkd": others(normalizers.NFKD()),
        "others_nfc": others(normalizers.NFC()),
        "roberta_left": roberta(corpus),
    }


def encode(tokenizer, cases, minimum, side):
    for text, pair, length in cases:
        tokenizer.enable_truncation(max(length, minimum), direction=side)
        encoding = tokenizer.encode(text, pair)
        yield [encoding.ids, encoding.type_ids if any(encoding.type_ids) else None]


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[1])
    cases = list(tokenizer_texts.cases())
    (out / "cases.json").write_text(json.dumps(cases))
    for name, tokenizer in build().items():
        side = "left" if name.endswith("left") else "right"
        (out / name).mkdir()
        if side == "left":
            (out / name / "tokenizer_config.json").write_text(json.dumps({"truncation_side": "left"}))
        tokenizer.save(str(out / name / "tokenizer.json"))
        (out / f"{name}.json").write_text(json.dumps(list(encode(tokenizer, cases, 4, side)), separators=(",", ":")))
