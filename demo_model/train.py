"""Trains the demo model from the handbook and saves it: `python -m demo_model.train`.

One command, one seed, no network. It decides the model's shape and how long it learns; what is said in training is
decided in `conversations.py` and `augment.py`.
"""

import argparse
import json
import logging
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from demo_model import WEIGHTS_FOLDER
from demo_model.augment import Augmenter
from demo_model.conversations import (
    CHAT_TEMPLATE,
    FIRST_LESSON,
    PADDING,
    SECOND_LESSON,
    SPECIAL_TOKENS,
    THIRD_LESSON,
    TURN_END,
    ConversationMaker,
    Lesson,
    Piece,
    training_texts,
)
from demo_model.evaluate import evaluate, log_report
from demo_model.handbook import Topic, held_out_forms, read_handbook
from demo_model.tokenizer_training import train_tokenizer

log = logging.getLogger("demo_model.train")
CONTEXT_TOKENS = 2048
IGNORED = -100
CONVERSATIONS_DRAWN = 1024
PADDING_ID = SPECIAL_TOKENS.index(PADDING)  # the special tokens take the first ids, in their order
TURN_END_ID = SPECIAL_TOKENS.index(TURN_END)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long and how hard the model learns."""

    lesson: Lesson
    steps: int
    peak_learning_rate: float
    seed: int
    batch_tokens: int = 3072
    warmup_steps: int = 100
    weight_decay: float = 0.1


PLANS = (
    TrainingPlan(FIRST_LESSON, steps=1500, peak_learning_rate=2e-3, seed=8085),
    TrainingPlan(SECOND_LESSON, steps=500, peak_learning_rate=8e-4, seed=9085),
    TrainingPlan(THIRD_LESSON, steps=600, peak_learning_rate=8e-4, seed=9185),
)
THREADS = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded conversations; every tensor is batch x tokens."""

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor


def model_config(tokenizer: Tokenizer) -> LlamaConfig:
    """A Llama in small: all its parts (grouped-query attention, RoPE, SwiGLU, tied embeddings), 3.5 million numbers."""
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=TURN_END_ID,
        pad_token_id=PADDING_ID,
    )


def encode(pieces: list[Piece], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Token ids and labels; a label of IGNORED does not count in the loss."""
    ids: list[int] = []
    labels: list[int] = []
    for piece in pieces:
        piece_ids = tokenizer.encode(piece.text, add_special_tokens=False).ids
        ids += piece_ids
        labels += piece_ids if piece.learn else [IGNORED] * len(piece_ids)
    return ids, labels


def positions(length: int, rng: random.Random) -> list[int]:
    """Where the tokens stand. Now and then with a jump, so that far distances are not a surprise in long prompts."""
    if rng.random() > 0.15 or length < 4:
        return list(range(length))
    cut = rng.randrange(1, min(length, 24))
    jump = rng.randrange(CONTEXT_TOKENS - length)
    return [*range(cut), *range(cut + jump, length + jump)]


def make_batch(encoded: list[tuple[list[int], list[int]]], rng: random.Random) -> Batch:
    """Pad on the right: the model looks only to the left, so padding needs no mask."""
    width = max(len(ids) for ids, _ in encoded)
    return Batch(
        ids=torch.tensor([ids + [PADDING_ID] * (width - len(ids)) for ids, _ in encoded]),
        labels=torch.tensor([labels + [IGNORED] * (width - len(labels)) for _, labels in encoded]),
        positions=torch.tensor([positions(width, rng) for _ in encoded]),
    )


def batches_of_like_length(
    maker: ConversationMaker, tokenizer: Tokenizer, plan: TrainingPlan, rng: random.Random
) -> list[Batch]:
    """Draw many conversations and put those of like length together: less padding, less time."""
    drawn = sorted((encode(maker.draw(), tokenizer) for _ in range(CONVERSATIONS_DRAWN)), key=lambda pair: len(pair[0]))
    groups: list[list[tuple[list[int], list[int]]]] = [[]]
    for pair in drawn:
        # The newest is the longest, and so the width of the whole batch.
        if (len(groups[-1]) + 1) * len(pair[0]) > plan.batch_tokens and groups[-1]:
            groups.append([])
        groups[-1].append(pair)
    rng.shuffle(groups)
    return [make_batch(group, rng) for group in groups]


def learning_rate(step: int, plan: TrainingPlan) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of the peak."""
    if step < plan.warmup_steps:
        return plan.peak_learning_rate * (step + 1) / plan.warmup_steps
    done = (step - plan.warmup_steps) / max(1, plan.steps - plan.warmup_steps)
    return plan.peak_learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the answers. Only the tokens to be learned go through the output layer."""
    # The mask of ones keeps transformers from reading a jump in the positions as a new sequence.
    ones = torch.ones_like(batch.ids)
    hidden = model.model(input_ids=batch.ids, attention_mask=ones, position_ids=batch.positions).last_hidden_state
    wanted = batch.labels[:, 1:]
    learned = wanted != IGNORED
    logits = model.lm_head(hidden[:, :-1][learned])
    return torch.nn.functional.cross_entropy(logits.float(), wanted[learned])


def optimiser_for(model: LlamaForCausalLM, plan: TrainingPlan) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    scales = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": scales, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.peak_learning_rate, betas=(0.9, 0.98))


def fit(model: LlamaForCausalLM, topics: list[Topic], tokenizer: Tokenizer, plan: TrainingPlan) -> None:
    """Learn one lesson, and say how it goes every hundred steps."""
    drawing = random.Random(plan.seed)  # noqa: S311 - a reproducible draw, no secret
    rng = random.Random(plan.seed + 1)  # noqa: S311 - likewise
    maker = ConversationMaker(topics, Augmenter(held_out_forms(topics), drawing), drawing, plan.lesson)
    optimiser = optimiser_for(model, plan)
    waiting: list[Batch] = []
    started = time.monotonic()
    model.train()
    for step in range(plan.steps):
        waiting = waiting or batches_of_like_length(maker, tokenizer, plan, rng)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, plan)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, waiting.pop())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % 100 == 0:
            log.info("step %d/%d, loss %.4f, %.0f s", step + 1, plan.steps, loss.item(), time.monotonic() - started)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the model folder: bfloat16 safetensors, tokenizer, chat template, generation config."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        eos_token_id=[TURN_END_ID, PADDING_ID], pad_token_id=PADDING_ID, do_sample=False
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=PADDING,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)
    # Older readers of the folder know this class by its public name only.
    path = folder / "tokenizer_config.json"
    written = json.loads(path.read_text("utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", "utf-8")


def mean_of(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of several states of one model: it is right more often than any of them, as each errs elsewhere."""
    return {name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]}


def train(folder: Path, plans: tuple[TrainingPlan, ...] = PLANS) -> None:
    """Everything, from the handbook to the saved folder and its report."""
    torch.manual_seed(plans[0].seed)
    torch.set_num_threads(THREADS)
    topics = read_handbook()
    tokenizer = train_tokenizer(training_texts(topics), SPECIAL_TOKENS)
    model = LlamaForCausalLM(model_config(tokenizer))
    log.info("%d topics, %d words in the vocabulary, %d parameters", len(topics), tokenizer.get_vocab_size(),
             model.num_parameters())  # fmt: skip
    learnt: list[dict[str, torch.Tensor]] = []
    for plan in plans:
        fit(model, topics, tokenizer, plan)
        # Each lesson begins with what the one before it would have saved.
        model.to(torch.bfloat16).to(torch.float32)
        learnt.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    model.load_state_dict(mean_of(learnt))
    save(model, tokenizer, folder)
    log_report(evaluate(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo model from its handbook.")
    parser.add_argument("--output", type=Path, default=WEIGHTS_FOLDER, help="the folder to write the model to")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(arguments.output)


if __name__ == "__main__":
    main()
