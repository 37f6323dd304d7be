"""Asks a converted model and its source the same prompts and judges, position by position, whether they agree.

Only what the source is sure of counts: where its two best tokens are closer than the noise of the precision, either
may come first. A result that disagrees is broken, not merely coarse: the limits below keep the two far apart.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_store.manifest import Agreement

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Logits = npt.NDArray[np.float32]
MAX_POSITIONS = 64
"""Per prompt: enough to see errors pile up in the cache, few enough to keep a large vocabulary's logits in memory."""

_PLAIN = (
    "The port of the gateway is 8085, and the health check answers as soon as the model is warm.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n",
    "In 1969, three astronauts travelled 384,400 km; two of them walked on the Moon. Le café était fermé à 17 h.",
)
_CHAT = (
    "How do I change the port?",
    "Explain in two sentences why the sky is blue, then name three colours.",
    "Write a short letter to a neighbour who lent you a ladder.",
)


class DisagreementError(Exception):
    """The converted model does not follow its source; the message carries the measured and the allowed numbers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a precision may cost. Distances are in units of the source logits' standard deviation."""

    mean_distance: float
    same_when_sure: float


LIMITS = {
    # The same weights in another order of summation: healthy conversions measure under 0.03, a damaged layer over 0.5.
    "bf16": Limits(mean_distance=0.10, same_when_sure=0.98),
    "fp16": Limits(mean_distance=0.10, same_when_sure=0.98),
    # Rounding to 256 levels per channel: healthy ones measure 0.01 to 0.06.
    "int8": Limits(mean_distance=0.20, same_when_sure=0.95),
    # Rounding to 16 levels per group: trained models measure 0.1 to 0.3, random weights up to 0.45.
    "int4": Limits(mean_distance=0.60, same_when_sure=0.80),
}


def encode_prompts(tokenizer: "PreTrainedTokenizerBase") -> list[list[int]]:
    """Turn the prompts into ids: plain ones, and chat ones through the model's own template where it has one."""
    texts = list(_PLAIN)
    for question in _CHAT:
        message = [{"role": "user", "content": question}]
        if getattr(tokenizer, "chat_template", None):
            texts.append(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True))
        else:
            texts.append(question)
    encoded = [list(tokenizer(text, add_special_tokens=True)["input_ids"])[:MAX_POSITIONS] for text in texts]
    return [ids for ids in encoded if ids]


def converted_logits(model_xml: Path, prompts: Sequence[Sequence[int]], threads: int) -> list[Logits]:
    """Run every prompt through the converted model, as plain OpenVINO loads it.

    The cache is kept at full precision and activations are not quantized, so that only the weights are judged.
    """
    import openvino

    compiled = openvino.Core().compile_model(
        model_xml,
        "CPU",
        {"INFERENCE_NUM_THREADS": threads, "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "KV_CACHE_PRECISION": "f32"},
    )
    names = {name for port in compiled.inputs for name in port.get_names()}
    request = compiled.create_infer_request()
    answers: list[Logits] = []
    for prompt in prompts:
        ids = np.array([prompt], dtype=np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.arange(ids.shape[1], dtype=np.int64)[None],
            "beam_idx": np.zeros(1, dtype=np.int32),
        }
        request.reset_state()
        request.infer({name: value for name, value in inputs.items() if name in names})
        answers.append(np.array(request.get_tensor("logits").data[0], dtype=np.float32))
    return answers


def source_logits(run: Callable[[Sequence[int]], Logits], prompts: Sequence[Sequence[int]]) -> list[Logits]:
    """Run every prompt through the source model."""
    return [run(prompt) for prompt in prompts]


def judge(source: Sequence[Logits], converted: Sequence[Logits], precision: str) -> Agreement:
    """Measure the agreement.

    Raises:
        DisagreementError: it is outside the limits of the precision, or not a number.
    """
    limits = LIMITS[precision]
    mine, theirs = np.concatenate(list(converted)), np.concatenate(list(source))
    if mine.shape != theirs.shape:
        raise DisagreementError(f"its logits have the shape {mine.shape}, those of the source {theirs.shape}")
    spread = theirs.std(axis=-1) + np.finfo(np.float32).tiny
    distance = np.sqrt(np.square(mine - theirs).mean(axis=-1)) / spread
    same = mine.argmax(axis=-1) == theirs.argmax(axis=-1)
    runner_up, best = np.sort(np.partition(theirs, -2, axis=-1)[:, -2:], axis=-1).T
    sure = (best - runner_up) / spread > 2 * limits.mean_distance
    agreement = Agreement(
        num_prompts=len(source),
        num_positions=int(same.size),
        same_next_token=round(float(same.mean()), 4),
        mean_logit_distance=round(float(distance.mean()), 5),
    )
    same_when_sure = float(same[sure].mean()) if sure.any() else 1.0
    if not agreement.mean_logit_distance <= limits.mean_distance or same_when_sure < limits.same_when_sure:
        raise DisagreementError(
            f"its logits are {agreement.mean_logit_distance:.3f} away from the source's (at most "
            f"{limits.mean_distance} is allowed) and it names the same next token in {same_when_sure:.0%} of the "
            f"positions where the source is sure (at least {limits.same_when_sure:.0%})"
        )
    return agreement
