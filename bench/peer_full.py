# Full fine-tuning with Hugging Face transformers; with --checkpointing by gradient checkpointing.
from peer_common import parse, random_bert, serve

if __name__ == "__main__":
    serve(random_bert, parse())
