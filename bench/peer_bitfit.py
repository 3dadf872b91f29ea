# BitFit (Ben Zaken et al. 2022) with Hugging Face transformers: the biases and the classifier train. PEFT has no such
# method (its BEFT trains one bias a layer).
import argparse

from transformers import BertForSequenceClassification

from peer_common import parse, random_bert, serve


def bert_of_biases(arguments: argparse.Namespace) -> BertForSequenceClassification:
    model = random_bert(arguments)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.endswith(".bias") or name.startswith("classifier.")
    return model


if __name__ == "__main__":
    serve(bert_of_biases, parse())
