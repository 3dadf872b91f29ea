# Clipping by PyTorch's clip_grad_norm_: the norm of the tiny BERT's gradients before, and each parameter's after it.
import torch
from torch.nn.utils import clip_grad_norm_

from fixtures import deterministic, numbers, versions, write_json
from small_bert import FOLDER, load, logits_of, loss_of, sequences

LENGTHS, LABELS = [6, 13, 4], [1, 2, 0]
MAXIMA = [0.5, 1e4]


def clipped(batch: list[dict], maximum: float) -> dict:
    model = load(FOLDER, torch.float64)
    loss_of(logits_of(model, batch, "cls", None), LABELS).backward()
    total = clip_grad_norm_(model.parameters(), maximum)
    norms = {name: numbers(parameter.grad.norm()) for name, parameter in model.named_parameters()}
    words = model.bert.embeddings.word_embeddings.weight.grad
    word = numbers(words[batch[0]["inputIds"][0]])
    return {"maxNorm": maximum, "norm64": numbers(total), "norms64": norms, "word64": word}


def main() -> None:
    deterministic()
    batch = sequences(LENGTHS, torch.Generator().manual_seed(17))
    # A word that comes twice: as rows its gradient has two parts.
    batch[0]["inputIds"][1] = batch[0]["inputIds"][0]
    runs = [clipped(batch, maximum) for maximum in MAXIMA]
    assert runs[0]["norm64"] > MAXIMA[0] and runs[1]["norm64"] < MAXIMA[1]
    write_json("clipping.json", {"versions": versions(), "sequences": batch, "labels": LABELS, "runs": runs})


if __name__ == "__main__":
    main()
