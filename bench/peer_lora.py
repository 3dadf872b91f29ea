# LoRA on queries and values with Hugging Face PEFT, rank 8; with --checkpointing by gradient checkpointing.
import argparse

from peft import LoraConfig, PeftModel, TaskType, get_peft_model

from peer_common import parse, random_bert, serve


def lora_config(**options) -> LoraConfig:
    return LoraConfig(
        task_type=TaskType.SEQ_CLS, r=8, lora_alpha=16, lora_dropout=0.0, target_modules=["query", "value"], **options
    )


def bert_with_lora(arguments: argparse.Namespace) -> PeftModel:
    return get_peft_model(random_bert(arguments), lora_config())


if __name__ == "__main__":
    serve(bert_with_lora, parse())
