"""What Python's tokenizers make of real and hostile texts and pairs, cut to several lengths.

Writes tokenizer_minilm.json, and byte_level_bpe/tokenizer.json (a small tokenizer of RoBERTa's kind, trained here)
with tokenizer_byte_level_bpe.json, into ../fixtures.
Needs: tokenizers. Usage: tokenizer_fixtures.py FOLDER_OF_MINILM
"""
import json
import pathlib
import random
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"

PROSE = [
    "The committee will meet on Thursday at half past nine; bring your own coffee.",
    "I can't believe it's not butter, she said - and nobody laughed.",
    "Dear customer, your parcel No. 4711-B could not be delivered (again!).",
    "Prices rose by 3.5% in Q2, to $1,299.99 from $1,256.02.",
    "He re-read the unreadable, irreproducible, internationalization-heavy report.",
    "Visit http://www.example.com/a/b?c=d&e=f#g or mail me at nobody@example.org.",
    "CLICK HERE NOW!!! 100% FREE $$$ >>> limited offer <<<",
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; } // dot product",
    "Is it true? It is. Is it? No... well -- perhaps.",
    "A film so dull that the popcorn was the plot.",
    "No movement in the garden but the slow unfolding of ferns.",
    "La cigüeña tocó el saxofón detrás del palenque de paja.",
    "Dès Noël, où un zéphyr haï me vêt de glaçons würmiens, je dîne d'exquis rôtis de bœuf.",
    "Falsches Üben von Xylophonmusik quält jeden größeren Zwerg; STRASSE, Straße.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Stróż pchnął kość w quiz gędźb vel fax myjń.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ΟΔΥΣΣΕΥΣ ΣΟΦΟΣ",
    "נקודה אחת, וגם ניקוד: שָׁלוֹם עֲלֵיכֶם",
    "صِف خَلقَ خَودٍ كَمِثلِ الشَمسِ إِذ بَزَغَت",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "いろはにほへと ちりぬるを。ガギグゲゴ がぎぐげご",
    "我能吞下玻璃而不伤身体。東京は日本の首都です",
    "키스의 고유조건은 입술끼리 만나야 하고",
    "İstanbul'da ılık IŞIK, DİYARBAKIR",
    "Chữ Quốc ngữ: Việt Nam đất nước ơi",
]

HOSTILE = [
    "", " ", "\n\t\r", "a", ".", "...", "[SEP]", "[CLS] [SEP] [PAD] [MASK] [UNK]", "x[SEP]y", "[sep] [ SEP ]", "[[SEP]]",
    "##ing", "## ing play ##ing", "\u0000", "a\u0000b", "a\ufffdb", "\x01\x02\x7f\x85\x9f", "line\u2028line\u2029end",
    "non\u00a0breaking\u3000ideographic\u2003em\u200bzero\u200djoin\ufeffbom", "soft\u00adhyphen",
    "a" * 100, "a" * 101, "z" * 5000, "unaffable" * 11, "unaffable " * 200, "é" * 100, "e\u0301" * 100, "e\u0301" * 101,
    "🙂" * 100, "🙂" * 101, "👩‍👩‍👧‍👦 family", "🇩🇪 flag", "1️⃣ keycap", "✌🏽 skin", "☃ snowman ☕",
    "\U00020000\U00020001", "a\U0002A6DFb", "\U0002F800", "\u4e00\u4e01x\u9fff", "\uf900\ufaff", "\u3400",
    "ΑΣ", "ΑΣ ΣΑΣ Σ ΑΣ.", "ΣΣΣ", "ﬁne ﬂow ﬃ", "ＦＵＬＬ ｗｉｄｔｈ １２３", "𝕳𝖊𝖑𝖑𝖔 𝒲ℴ𝓇𝓁𝒹", "Ⅷ ½ ² ₂ ™ © ®", "Å Å Å",
    "a\u0300\u0301\u0302\u0303b", "\u0301", "\u0301 a", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞", "ẞß ſ ŉ ǰ", "K K \u212b \u2126",
    "don't won't 'quoted' \"double\" `back` “curly” ‘single’ «guillemets» 「鉤」 ¿qué? ¡sí!", "a-b_c+d=e*f/g\\h|i~j^k",
    "<html><body bgcolor=\"#FFFFFF\">&nbsp;&lt;</body></html>", "-----BEGIN PGP SIGNATURE-----", "=20=\n=3D", "\\u0041",
    "VGhpcyBpcyBub3QgYSB3b3JkIGJ1dCBiYXNlNjQgb2Ygb25lIGFuZCBzb21lIG1vcmUgb2YgaXQ=", "0123456789" * 12,
    "constructor __proto__ toString hasOwnProperty", "null undefined NaN true", "\ue000\uf8ff private", "\u202eright\u202c",
    "\u180e\u2060\u2061", "ך\u05b7", "\u1100\u1161\u11a8 각", "क्षि", "ﷺ", "\u0600\u06dd", "\u2e3a\u2e3b", "\U0001d173a",
]


def scrambled(rng):
    """Strings put together from pieces of everything above."""
    pieces = [word for text in PROSE + HOSTILE for word in text.split(" ") if len(word) < 40]
    for _ in range(80):
        yield rng.choice(["", " ", " ", "\n"]).join(rng.choices(pieces, k=rng.randrange(1, 60)))


def cases():
    rng = random.Random(3)
    texts = [*PROSE, *HOSTILE, *scrambled(rng)]
    for text in texts:
        yield text, None, 512
    for text in rng.sample(texts, 60):
        yield text, None, rng.choice([2, 3, 4, 8, 16, 64])
    for _ in range(120):
        yield rng.choice(texts), rng.choice(texts), rng.choice([4, 5, 6, 7, 12, 13, 24, 33, 64, 128])
    for length in range(4, 14):
        yield "one two three four five", "six seven eight nine ten", length
        yield "one two three four five six", "seven eight nine", length
    yield "", "", 8
    yield "a", "", 8
    yield "", "a", 8


def encoded(tokenizer, minimum, text, pair, length):
    length = max(length, minimum)
    tokenizer.enable_truncation(length)
    encoding = tokenizer.encode(text, pair)
    case = {"text": text, "pair": pair, "maxLength": length, "ids": encoding.ids, "types": encoding.type_ids}
    if not any(encoding.type_ids):
        del case["types"]
    return {key: value for key, value in case.items() if value is not None}


def write_cases(name, tokenizer, minimum):
    tokenizer.no_padding()
    lines = [json.dumps(encoded(tokenizer, minimum, *case), separators=(",", ":")) for case in cases()]
    path = FIXTURES / name
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(len(lines), "cases,", path.stat().st_size, "bytes:", path.name)


def train_byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(PROSE * 3, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    folder = FIXTURES / "byte_level_bpe"
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    return tokenizer


if __name__ == "__main__":
    write_cases("tokenizer_minilm.json", Tokenizer.from_file(f"{sys.argv[1]}/tokenizer.json"), 2)
    write_cases("tokenizer_byte_level_bpe.json", train_byte_level(), 4)
