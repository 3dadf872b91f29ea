"""The texts that tokenizers are compared on: real sentences in many scripts, hostile strings, and all of Unicode."""
import ast
import pathlib
import random
import sysconfig
import unicodedata

from tokenizer_fixtures import HOSTILE, PROSE

SCRIPTS = [
    "الحروف العربية تُكتب من اليمين إلى اليسار، وهي ٢٨ حرفًا.", "این یک جملهٔ فارسی است که نیم‌فاصله دارد.",
    "یہ اردو کا ایک جملہ ہے۔", "העברית נכתבת מימין לשמאל, כמו ״הארץ״ ו־צה״ל.", "এটি একটি বাংলা বাক্য, যার মধ্যে ১২৩ আছে।",
    "ഇത് മലയാളത്തിലെ ഒരു വാക്യമാണ്.", "இது ஒரு தமிழ் வாக்கியம் ஆகும்.", "ఇది తెలుగు వాక్యం.", "ಇದು ಕನ್ನಡ ವಾಕ್ಯ.",
    "આ એક ગુજરાતી વાક્ય છે.", "ਇਹ ਪੰਜਾਬੀ ਵਾਕ ਹੈ।", "මෙය සිංහල වාක්‍යයකි.", "ဤသည်မှာ မြန်မာစာကြောင်းဖြစ်သည်။", "នេះជាប្រយោគខ្មែរ។",
    "ນີ້ແມ່ນປະໂຫຍກພາສາລາວ.", "ประโยคภาษาไทยไม่มีช่องว่างระหว่างคำ", "འདི་ནི་བོད་ཡིག་གི་ཚིག་གྲུབ་ཅིག་རེད།", "ეს არის ქართული წინადადება.",
    "Սա հայերեն նախադասություն է։", "ይህ የአማርኛ ዓረፍተ ነገር ነው።", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "ᐃᓄᒃᑎᑐᑦ ᐅᖃᐅᓯᖅ", "Энэ бол монгол өгүүлбэр юм.",
    "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ", "これは日本語の文です。ｶﾀｶﾅも、㍿も、①も。", "這是一個繁體中文的句子，標點「」。", "这是简体中文句子，含有数字１２３和ABC。",
    "이것은 한국어 문장입니다. ㄱㄴㄷ ᄒᆞᆫ글", "Αυτή είναι μια ελληνική πρόταση· ἐν ἀρχῇ ἦν ὁ λόγος.", "Это русское предложение — с тире, ёлкой и №5.",
    "Це українське речення з ґанком і їжаком.", "Ово је реченица на српском.", "Đây là một câu tiếng Việt có đủ dấu: ễ ặ ộ ử.",
    "Bu, Türkçe bir cümledir: ığüşöç İĞÜŞÖÇ.", "To jest zdanie po polsku: zażółć gęślą jaźń.", "Þetta er íslensk setning með æ, ð og þ.",
    "ߒߞߏ ߛߓߍߛߎ߲", "ⵜⴰⵎⴰⵣⵉⵖⵜ", "𐌰𐌽𐌰 𐍃𐍄𐌰𐌿𐌰𐌹", "ܠܫܢܐ ܣܘܪܝܝܐ", "ދިވެހި ބަސް", "ᜊᜌ᜔ᜊᜌᜒᜈ᜔", "ꦧꦱꦗꦮ", "𞤆𞤵𞤤𞤢𞤪", "ꆈꌠꉙ", "ᚠᚢᚦᚨᚱᚲ",
]

NASTY = [
    "👨‍👩‍👧‍👦👩🏽‍🚀🏴󠁧󠁢󠁥󠁮󠁧󠁿🇫🇷🇫🇷🇫 ❤️ ❤ ☎︎", "a\u0301\u0327 a\u0327\u0301 \u1e09 c\u0327\u0301", "q\u0323\u0307 q\u0307\u0323 \u0344",
    "\u1112\u1161\u11ab \u1100\u1161 \uac00\u11a8 \u3131\u314f \uffa1", "\u202eabc\u202c \u2067שלום\u2069 \u200e\u200f\u061c", "\x00\x00",
    "".join(map(chr, range(32))), "".join(map(chr, range(127, 161))), "a\ufeffb\ufeff", "\ufeffstart", "co\u00adop\u00aderate", "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ ĳ Ǆ",
    "ＡＢＣ　ａｂｃ　１２３！？", "\U0001f600\U00020000\U0010ffff", "\ue000\uf8ff\U000f0000\U0010fffd", "\ufdd0\ufffe\uffff\U0001fffe", "\ufffd \ufffc",
    " ".join("x" + space + "y" for space in "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"),
    "line\r\nline\rline\n\nline\n\r", " leading", "trailing ", "  two  spaces  ", "\n", "\t \t", "\u00a0", "\u3000\u3000",
    "a" * 10_000, "\u0301" * 10_000, "ab" * 5_000, "字" * 3_000, "🙂" * 2_500, " " * 10_000, "\n" * 3_000, "e\u0301" * 3_000, "\x00" * 5_000,
    "!" * 10_000, "'s" * 3_000, "1" * 10_000, "a b" * 3_000, "\u0e33" * 2_000, "[SEP]" * 1_000, "<s>" * 1_000, " <mask>" * 1_000,
    "[CLS][SEP][PAD][MASK][UNK]", "<s></s><pad><unk><mask>", "a <mask> b", "a<mask>b", "a  <mask>  b", "\n\t<mask>\n", "<mask>", " <mask>", "<mask> ",
    "<mask><mask>", " <mask> <mask> ", "< mask >", "<MASK>", "[mask]", "[Mask]", "</s> </s>", "x</s>y", "<unk>", "a<unk>b <unk>",
    "NEW new renew new-new news _new new. new", "ＮＥＷ néw", "STRIP strip  strip  strip", "left left  left right  right", "[NEW] [new]x",
    "▁▁a▁b ▁", "▁", "##a", "Ġa", "<0x41><0xFF>", "\\n \\u0000", "%s %d {} ${x}", "̈ ̈a", "a\u20dd \u20e3", "\u0d4d\u0d4dക്‍ക", "ำา",
    "İIıi ẞßSSſs ΣσςΑΣ ǅ ŉ", "Å\u212bA\u030a K\u212a Ω\u2126", "⁵ ₅ ½ Ⅳ ㊗ ㌀ ﷺ ﷽ ꭰ Ꭰ", "ff\u200dff f\u200ci", "1\ufe0f\u20e3 #\ufe0f\u20e3",
    "\u0600123 \u06dd5 \U000110bd\U00011083", "\u0915\u094d\u0937 \u0915\u094d\u200d\u0937 \u09b0\u09cd\u200d\u09af", "\u0f71\u0f72\u0f74 \u0f73",
    "\u1e69 s\u0323\u0307 s\u0307\u0323 \u017f\u0323", "\U0001d15e\U0001d1bb\U0001d1c0", "\u2adc \ufb1d \u0958 \u09dc", "\U000105d2\u0307 \U000105c9",
    "\ua7ce\ua7d2 \U00016ea0 \U00010400 \U0001e900", "\u30a2\u3099 \uff76\uff9e \u304b\u3099", "\u1734\U0001171e \u166d\U000111c9",
]


def documentation():
    """Paragraphs of the standard library's own docstrings."""
    folder = pathlib.Path(sysconfig.get_path("stdlib"))
    for name in ["argparse", "difflib", "textwrap", "statistics", "decimal", "_pydecimal", "datetime", "turtle", "random", "email/message",
                 "logging/__init__", "pathlib", "string", "subprocess", "tarfile", "typing", "zipfile", "doctest", "heapq", "fractions"]:
        path = folder / f"{name}.py"
        if not path.exists():
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                yield from (part.strip() for part in (ast.get_docstring(node) or "").split("\n\n") if part.strip())


def assigned():
    """Every assigned character but for ideographs, Hangul syllables and private ones, of which a few."""
    for point in range(0x110000):
        if 0xD800 <= point <= 0xDFFF or unicodedata.category(chr(point)) in ("Cn", "Co"):
            continue
        many = 0x3400 <= point <= 0x9FFF or 0xAC00 <= point <= 0xD7A3 or 0x17000 <= point <= 0x18D08 or point >= 0x20000
        if not many or point % 41 == 0:
            yield chr(point)


def in_rows(characters, pattern, count):
    for start in range(0, len(characters), count):
        yield "".join(pattern.format(character) for character in characters[start:start + count])


def words(rng, paragraphs):
    pieces = [word for text in [*paragraphs, *SCRIPTS, *NASTY] for word in text.split(" ") if len(word) < 40]
    for _ in range(400):
        yield rng.choice(["", " ", " ", "\n", "\u3000", "\u0301"]).join(rng.choices(pieces, k=rng.randrange(1, 25)))


def texts():
    rng = random.Random(11)
    paragraphs = sorted(set(documentation()))
    characters = list(assigned())
    shuffled = rng.sample(characters, len(characters))
    anything = [chr(point) for point in rng.choices([*range(0xD800), *range(0xE000, 0x110000)], k=10_000)]
    names = [unicodedata.name(character, "") for character in rng.sample(characters, 300)]
    return [
        *PROSE, *HOSTILE, *SCRIPTS, *NASTY, *rng.sample(paragraphs, min(500, len(paragraphs))), *names,
        *words(rng, paragraphs),
        *in_rows(characters, "a{}b ", 24), *in_rows(shuffled, "{}", 24), *in_rows(shuffled, "e{}\u0301", 24), *in_rows(anything, "{}", 20),
    ]


def corpus():
    return [*sorted(set(documentation())), *PROSE * 3, *SCRIPTS * 3, *(unicodedata.name(character, "").lower() for character in assigned())][:25_000]


def cases():
    """A text, its pair or None, and the length to cut to."""
    rng = random.Random(12)
    every = texts()
    for text in every:
        yield text, None, 1_000_000
    short = [text for text in every if len(text) < 400]
    # Cutting is slow in Python, which makes an encoding of each part that is left over.
    for text in rng.sample(short, 80):
        yield text, None, rng.choice([2, 3, 4, 5, 8, 13, 16, 32, 64, 128])
    for _ in range(160):
        yield rng.choice(short), rng.choice(short), rng.choice([6, 7, 8, 13, 24, 33, 64, 128, 1_000_000])
    yield from [("", "", 8), ("a", "", 8), ("", "a", 8)]
