"""What Python's tokenizers take every code point for, as JSON: classes as ranges, mappings as pairs.

Run by tools/unicode_tables.ts, which makes the tables in src/data/tokenizer of it. Needs: tokenizers.
"""
import json

from tokenizers import normalizers, pre_tokenizers

POINTS = [point for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
OPTIONS = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}


def ranges(holds):
    found = []
    for point in filter(holds, POINTS):
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found


def vanish(normalizer):
    return ranges(lambda point: normalizer.normalize_str(chr(point)) == "")


def bert(**options):
    return normalizers.BertNormalizer(**{**OPTIONS, **options})


def changed(normalizer):
    pairs = ((chr(point), normalizer.normalize_str(chr(point))) for point in POINTS)
    return [pair for pair in pairs if pair[0] != pair[1]]


def reorders(point):
    """Whether a character is moved past a mark of a low or a high combining class: whether it has a class itself."""
    text, form = chr(point), normalizers.NFD()
    alone = form.normalize_str(text)
    low, high = "a" + text + "\u0334", "a\u0345" + text
    return point in (0x334, 0x345) or form.normalize_str(low) != "a" + alone + "\u0334" \
        or form.normalize_str(high) != "a\u0345" + alone


def is_punctuation(point):
    return len(pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a" + chr(point) + "a")) == 3


def is_word(point):
    return len(pre_tokenizers.Whitespace().pre_tokenize_str("a" + chr(point))) == 1 and not chr(point).isspace()


def is_number(point):
    return len(pre_tokenizers.Digits().pre_tokenize_str("a" + chr(point))) == 2


if __name__ == "__main__":
    print(json.dumps({
        "removed": vanish(bert(clean_text=True)),
        "accents": vanish(bert(strip_accents=True)),
        "marks": vanish(normalizers.StripAccents()),
        "punctuation": ranges(is_punctuation),
        "words": ranges(is_word),
        "numbers": ranges(is_number),
        "reordered": ranges(reorders),
        "decomposed": changed(normalizers.NFKD()),
        "lowered": changed(normalizers.Lowercase()),
    }))
