# Writes a classifier that transformers loads as an ONNX file; `fewtune export --onnx` runs it.
#
#     python to_onnx.py MODEL FILE
#
# Inputs are input_ids, attention_mask and, where the model has them, token_type_ids, all of any batch size and length;
# the output is logits. When a package is missing it ends with a line that begins with MISSING.
import importlib.util
import sys
import warnings

PACKAGES = ["torch", "transformers", "onnx", "onnxscript"]


def main(model_folder: str, file: str) -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"MISSING {' '.join(missing)}")
    warnings.simplefilter("ignore")
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(model_folder, trust_remote_code=True).eval()
    names = ["input_ids", "attention_mask"]
    if getattr(model.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, *inputs):
            return self.model(**dict(zip(names, inputs))).logits

    # Two texts, one of them padded: a size that is 1 while the model is traced stays 1.
    tokens = torch.ones(2, 6, dtype=torch.int64)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    sizes = {0: torch.export.Dim("batch_size"), 1: torch.export.Dim("sequence_length")}
    with torch.no_grad():
        torch.onnx.export(
            Logits(),
            (tokens, mask, torch.zeros_like(tokens))[: len(names)],
            file,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes=(tuple(sizes for _ in names),),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
