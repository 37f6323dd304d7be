"""Throughput on a GPU: the transformers engine against plain `generate` and `transformers serve`, in the same run."""
