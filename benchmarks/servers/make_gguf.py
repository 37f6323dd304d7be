"""Convert a model for llama-server with llama.cpp's own converter, told that the tokenizer cuts text as Qwen's does.

The converter knows tokenizers by a hash of what they make of one text, and a tokenizer that was trained on the spot is
none of those; how ours cuts text is in `benchmarks/make_model.py`. Needs torch, transformers and sentencepiece. Usage:
python -m benchmarks.servers.make_gguf LLAMA_CPP_SOURCE MODEL_FOLDER OUTPUT bf16|q8_0
"""

import importlib
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    source, model, output, precision = sys.argv[1:]
    sys.path[:0] = [source, str(Path(source) / "gguf-py")]
    base: Any = importlib.import_module("conversion.base")
    base.TextModel.get_vocab_base_pre = lambda _model, _tokenizer: "qwen2"
    sys.argv = ["convert_hf_to_gguf.py", model, "--outfile", output, "--outtype", precision]
    importlib.import_module("convert_hf_to_gguf").main()


if __name__ == "__main__":
    main()
