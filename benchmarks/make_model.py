"""Make a model with the exact shape of a real one, random weights, and a tokenizer trained on the spot.

Speed and memory depend on shapes and not on what the weights mean, so this measures like the real model and needs no
network. What it says is noise. Usage: python -m benchmarks.make_model FOLDER [--shape Qwen3-0.6B]
"""

import argparse
import json
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SHAPES: dict[str, dict[str, int]] = {
    "Qwen3-0.6B": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16},
    "Qwen3-1.7B": {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16},
    "Qwen3-4B": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32},
    "Qwen3-8B": {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "tie_word_embeddings": False,
    },
    "tiny": {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 8},
}
"""Published configurations, and one for what depends on the vocabulary alone; what they share is in `make_weights`."""

VOCABULARY_TOKENS = 151_936
ORDINARY_TOKENS = 151_643
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
END_OF_TEXT_ID, END_OF_TURN_ID = ORDINARY_TOKENS, ORDINARY_TOKENS + 2

_SEED = 20_26
_SPARE_TOKENS = 3_000
"""Trained beyond what is needed, because some trained tokens do not survive the round trip and are dropped."""

_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How the Qwen tokenizers cut text into words before merging."""

_CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a model of a real one's shape, with random weights.")
    parser.add_argument("folder", type=Path, help="where to write it; then serve it with MODEL_NAME=FOLDER")
    parser.add_argument("--shape", choices=SHAPES, default="Qwen3-0.6B")
    arguments = parser.parse_args()
    make_model(arguments.folder, arguments.shape)
    size_bytes = sum(path.stat().st_size for path in arguments.folder.iterdir())
    print(f"{arguments.shape}'s shape, {size_bytes / 1e9:.2f} GB, in {arguments.folder}")


def make_model(folder: Path, shape: str, device: str = "cpu") -> None:
    """Write tokenizer, template, configuration and weights into `folder`.

    The same bytes on every run with one version of Python, whose own source is what the tokenizer is trained on, and
    one `device`, which draws the weights: a GPU draws a large model's in seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(_CHAT_TEMPLATE, encoding="utf-8")
    make_weights(folder, shape, device)


def make_weights(folder: Path, shape: str, device: str = "cpu") -> None:
    import torch  # they take seconds, and the tokenizer alone does without them
    import transformers

    transformers.set_seed(_SEED)
    config = transformers.Qwen3Config(
        **({"tie_word_embeddings": True} | SHAPES[shape]),
        vocab_size=VOCABULARY_TOKENS,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=40_960,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        rms_norm_eps=1e-6,
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=END_OF_TURN_ID,
        pad_token_id=END_OF_TEXT_ID,
    )
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype="bfloat16")
    # Rows near zero never have the largest logit: greedy answers neither stop early nor hold half a character.
    quiet = [*range(256), *range(ORDINARY_TOKENS, VOCABULARY_TOKENS)]
    model.get_output_embeddings().weight.data[quiet] *= 0.01
    model.generation_config.eos_token_id = [END_OF_TURN_ID, END_OF_TEXT_ID]
    model.save_pretrained(folder)
    # The library writes weights for their owner's eyes only; a container runs as somebody else.
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)


def make_tokenizer() -> Tokenizer:
    """Train a byte-level BPE tokenizer whose every id is text that encodes back to it.

    The exceptions are the 128 lone bytes above 127, which are no text; `make_weights` keeps them out of greedy answers.
    """
    tokenizer = build_tokenizer({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=ORDINARY_TOKENS + _SPARE_TOKENS,
        min_frequency=1,
        max_token_length=16,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer = keep_what_round_trips(tokenizer, ORDINARY_TOKENS)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    num_reserved = VOCABULARY_TOKENS - ORDINARY_TOKENS - len(SPECIAL_TOKENS)
    tokenizer.add_tokens([AddedToken(f"<|reserved_{number}|>", normalized=False) for number in range(num_reserved)])
    return tokenizer


def _corpus() -> Iterator[str]:
    """Yield the standard library's own source, then invented words, since no text at hand has so many real ones."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted([*library.glob("*.py"), *library.glob("*/*.py")]):
        if "-packages" not in path.parent.name:
            yield path.read_text(encoding="utf-8", errors="ignore")
    chance = random.Random(_SEED)
    syllables = [first + second for first in "bcdfghjklmnprstvwz" for second in ("a", "e", "i", "o", "u", "an", "er")]
    for _ in range(400):
        yield "".join(f" {''.join(chance.choices(syllables, k=chance.randint(2, 4)))}" for _ in range(1_000))


def keep_what_round_trips(tokenizer: Tokenizer, num_tokens: int) -> Tokenizer:
    """Drop trained tokens that do not encode back to themselves, with all that is built from them, and renumber.

    Raises:
        ValueError: fewer than `num_tokens` are left.
    """
    trained = json.loads(tokenizer.to_str())["model"]
    by_id = sorted(trained["vocab"], key=trained["vocab"].__getitem__)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    texts = tokenizer.decode_batch([[number] for number in range(len(by_id))])
    encodings = tokenizer.encode_batch(texts)
    kept = {token for number, token in enumerate(by_id) if encodings[number].ids == [number]} | set(alphabet)
    merges: list[tuple[str, str]] = []
    vocabulary = {token: number for number, token in enumerate(alphabet)}
    for left, right in trained["merges"]:
        if len(vocabulary) == num_tokens:
            break
        if left in vocabulary and right in vocabulary and left + right in kept:
            vocabulary.setdefault(left + right, len(vocabulary))
            merges.append((left, right))
    if len(vocabulary) != num_tokens:
        raise ValueError(f"{len(vocabulary)} tokens round-trip, {num_tokens} are needed; train more of them")
    return build_tokenizer(vocabulary, merges)


def build_tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Build a byte-level BPE tokenizer that cuts text as Qwen's does."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


if __name__ == "__main__":
    main()
