"""From messages to token ids: the model's own chat template, then its own tokenizer."""
