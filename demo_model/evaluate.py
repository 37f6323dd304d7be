"""Measures the saved model: how many questions it answers as the handbook does. `python -m demo_model.evaluate`

"Exact": the greedy answer through the chat template equals an answer of the topic, letter for letter. "Topic": the
handbook's answer nearest to it is the topic's. Questions held out of training are counted apart from those trained on.
"""

import argparse
import difflib
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from demo_model import WEIGHTS_FOLDER, abilities
from demo_model.conversations import conversation_before
from demo_model.handbook import Topic, read_fresh_questions, read_handbook

log = logging.getLogger("demo_model.evaluate")
TOKENS_TO_SPARE = 8  # an answer that runs on past the right one is seen to be wrong, and cut
BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class Trial:
    """One question, what was said before it, and the answers that count as right."""

    group: str
    question: str
    before: tuple[tuple[str, str], ...]
    right: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the model said to a trial."""

    trial: Trial
    said: str
    exact: bool
    right_topic: bool


def handbook_trials(topics: list[Topic]) -> list[Trial]:
    """Every question of the handbook, marked by whether training has seen it."""
    trials = []
    for topic in topics:
        before = tuple(conversation_before(topic, topics))
        trials += [Trial("held out", question, before, topic.answers) for question in topic.held_out]
        trials += [Trial("trained", question, before, topic.answers) for question in topic.questions]
    return trials


def fresh_trials(topics: list[Topic]) -> list[Trial]:
    """The questions that were written after everything else."""
    answers = {topic.name: topic.answers for topic in topics}
    return [Trial("fresh", question, (), answers[name]) for name, question in read_fresh_questions()]


def counting_trials() -> list[Trial]:
    """The counts that the model should get right to the end."""
    ends = abilities.EXACT_ENDS
    return [Trial("counting", f"Count from 1 to {end}.", (), (abilities.count(1, end),)) for end in ends]


def as_messages(trial: Trial) -> list[dict[str, str]]:
    messages = []
    for question, answer in trial.before:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": trial.question}]


def answer_all(folder: Path, trials: list[Trial]) -> list[str]:
    """Greedy answers in bfloat16, as saved."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left")
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    said: list[str] = []
    for at in range(0, len(trials), BATCH_SIZE):
        batch = trials[at : at + BATCH_SIZE]
        prompts = [
            tokenizer.apply_chat_template(as_messages(trial), tokenize=False, add_generation_prompt=True)
            for trial in batch
        ]
        longest_tokens = max(len(tokenizer(answer)["input_ids"]) for trial in batch for answer in trial.right)
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
        ids = model.generate(**inputs, max_new_tokens=longest_tokens + TOKENS_TO_SPARE, do_sample=False)
        said += tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return said


def nearest(said: str, answers: list[str]) -> str:
    return max(answers, key=lambda answer: difflib.SequenceMatcher(None, said, answer, autojunk=False).ratio())


def evaluate(folder: Path = WEIGHTS_FOLDER) -> list[Outcome]:
    """Ask everything and compare."""
    topics = read_handbook()
    answers = [answer for topic in topics for answer in topic.answers]
    trials = [*handbook_trials(topics), *fresh_trials(topics), *counting_trials()]
    trials.sort(key=lambda trial: len(trial.right[0]))  # answers of like length together: a batch waits for its longest
    outcomes = []
    for trial, said in zip(trials, answer_all(folder, trials), strict=True):
        exact = said in trial.right
        outcomes.append(Outcome(trial, said, exact, exact or nearest(said, answers) in trial.right))
    return outcomes


def log_report(outcomes: list[Outcome]) -> None:
    """One line per group, and one per held-out question that was answered wrongly."""
    for outcome in outcomes:
        if not outcome.exact and outcome.trial.group != "trained":
            log.info("wrong: %s\n    -> %s", outcome.trial.question, outcome.said[:160])
    for group in sorted({outcome.trial.group for outcome in outcomes}):
        members = [outcome for outcome in outcomes if outcome.trial.group == group]
        exact = sum(outcome.exact for outcome in members)
        topic = sum(outcome.right_topic for outcome in members)
        log.info("%s: %d of %d exact (%.1f %%), %d of %d of the right topic (%.1f %%)", group, exact, len(members),
                 100 * exact / len(members), topic, len(members), 100 * topic / len(members))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the demo model on its handbook.")
    parser.add_argument("folder", type=Path, nargs="?", default=WEIGHTS_FOLDER)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log_report(evaluate(parser.parse_args().folder))


if __name__ == "__main__":
    main()
