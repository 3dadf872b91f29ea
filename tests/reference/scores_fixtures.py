# The scores of positions on the tiny BERT and OPT: attention that each gets in the last two layers, and gradient norms.
import torch
from torch.nn import functional

import small_bert
import small_opt
from fixtures import deterministic, numbers, versions, write_json

LENGTHS, LABELS = [5, 11, 1, 8], [2, 0, 1, 1]


def scores(model, batch: list[dict]) -> dict:
    """Each sequence by itself, so that nothing is padded."""
    attention, losses, inputs = [], [], []
    for each, label in zip(batch, LABELS):
        fed = {"input_ids": torch.tensor([each["inputIds"]])}
        if getattr(model.config, "type_vocab_size", 0) > 1:
            fed["token_type_ids"] = torch.tensor([each["tokenTypeIds"]])
        out = model(**fed, output_attentions=True, output_hidden_states=True)
        received = sum(layer[0].mean(dim=0).sum(dim=0) for layer in out.attentions[-2:])
        attention.append(numbers(received.double()))
        inputs.append(out.hidden_states[-2])
        losses.append(functional.cross_entropy(out.logits, torch.tensor([label])))
    gradients = torch.autograd.grad(torch.stack(losses).mean(), inputs)
    return {"attention": attention, "gradient": [numbers(gradient[0].norm(dim=-1)) for gradient in gradients]}


def main() -> None:
    deterministic()
    cases = []
    for name, module in (("small_bert", small_bert), ("small_opt", small_opt)):
        batch = module.sequences(LENGTHS, torch.Generator().manual_seed(17))
        model = module.load(module.FOLDER, torch.float64)
        model.set_attn_implementation("eager")
        cases.append({"name": name, "sequences": batch, "labels": LABELS, **scores(model, batch)})
    write_json("scores.json", {"versions": versions(), "cases": cases})


if __name__ == "__main__":
    main()
