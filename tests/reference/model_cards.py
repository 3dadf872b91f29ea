# Reads model cards as the hub does, and runs the Python in them.
#
# The argument is a folder that holds models' folders, as which the cards name them; standard input is a list of these
# names. Standard output: for each the card's metadata, and what its Python said of the text in it.
import contextlib
import io
import json
import os
import re
import sys

from huggingface_hub import ModelCard

import torch
import transformers


def run(code: str) -> dict:
    """What the lines print; of lines that only load a model, its logits of three tokens."""
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    if "model" not in names:
        return {"printed": printed.getvalue()}
    tokens = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        return {"logits": names["model"].eval()(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits[0].tolist()}


def main(place: str) -> None:
    transformers.logging.set_verbosity_error()
    os.chdir(place)
    cards = {name: ModelCard.load(f"{name}/README.md") for name in json.load(sys.stdin)}
    code = lambda card: "\n".join(re.findall(r"```python\n(.*?)```", card.content, re.S))
    found = {name: {"data": card.data.to_dict(), **run(code(card))} for name, card in cards.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
