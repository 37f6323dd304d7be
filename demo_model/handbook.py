"""Reads `handbook/*.md` into topics and says which questions may be trained on.

A file is Markdown that people read and edit: `## name` opens a topic, the lines below it are the answer, `- ` lines are
ways to ask for it, and those below `Held out:` are never trained on. `Or:` separates answers that are equally right;
`After: name` makes the topic a follow-up, asked when `name` has just been answered. How a question is varied is
`augment.py`'s business.
"""

from dataclasses import dataclass, field
from pathlib import Path

from demo_model import FRESH_QUESTIONS, HANDBOOK_FOLDER

HELD_OUT_MARK = "Held out:"
OR_MARK = "Or:"
AFTER_MARK = "After:"


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing that the model knows: its answers, and the questions that should lead to them."""

    name: str
    answers: tuple[str, ...]
    questions: tuple[str, ...]
    held_out: tuple[str, ...]
    after: str | None = None

    @property
    def answer(self) -> str:
        return self.answers[0]


@dataclass(slots=True)
class _Draft:
    """A topic while its lines are being read."""

    name: str
    answers: list[list[str]] = field(default_factory=lambda: [[]])
    questions: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)
    after: str | None = None
    in_held_out: bool = False

    def take(self, line: str) -> None:
        if line.startswith("- "):
            (self.held_out if self.in_held_out else self.questions).append(line[2:].strip())
        elif line == HELD_OUT_MARK:
            self.in_held_out = True
        elif line == OR_MARK:
            self.answers.append([])
        elif line.startswith(AFTER_MARK):
            self.after = line.removeprefix(AFTER_MARK).strip()
        elif line:
            self.answers[-1].append(line)

    def finish(self) -> Topic:
        answers = tuple("\n".join(lines) for lines in self.answers)
        if not all(answers) or not self.questions:
            raise ValueError(f"topic {self.name!r} lacks an answer or a question; write both below its heading")
        return Topic(self.name, answers, tuple(self.questions), tuple(self.held_out), self.after)


def parse_topics(text: str) -> list[Topic]:
    """Read one file's text; what stands above the first `## ` is a remark to people and is skipped.

    Raises:
        ValueError: a topic lacks an answer or a question.
    """
    drafts: list[_Draft] = []
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("## "):
            drafts.append(_Draft(line[3:].strip()))
        elif drafts:
            drafts[-1].take(line)
    return [draft.finish() for draft in drafts]


def read_handbook(folder: Path = HANDBOOK_FOLDER) -> list[Topic]:
    """Read every file of the handbook, in the order of their names.

    Raises:
        ValueError: a name is used twice, or a follow-up names a topic that does not exist.
    """
    topics = [topic for path in sorted(folder.glob("*.md")) for topic in parse_topics(path.read_text("utf-8"))]
    names = [topic.name for topic in topics]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the handbook has two topics named {name!r}; rename one of them")
    for topic in topics:
        if topic.after is not None and topic.after not in names:
            raise ValueError(f"topic {topic.name!r} comes after {topic.after!r}, which the handbook does not have")
    return topics


def read_fresh_questions(path: Path = FRESH_QUESTIONS) -> list[tuple[str, str]]:
    """Pairs of a topic's name and a question that was written after everything else."""
    lines = [line[2:] for line in path.read_text("utf-8").splitlines() if line.startswith("- ")]
    pairs = [line.split(": ", maxsplit=1) for line in lines]
    return [(name, question) for name, question in pairs]


def normalise(question: str) -> str:
    """Reduce a question to its words, so that two that differ in case, spacing or punctuation compare equal."""
    return " ".join("".join(c if c.isalnum() else " " for c in question.lower()).split())


def held_out_forms(topics: list[Topic]) -> frozenset[str]:
    """Every held-out and every fresh question, normalised: what training must never see."""
    held_out = [question for topic in topics for question in topic.held_out]
    return frozenset(normalise(question) for question in (*held_out, *(fresh for _, fresh in read_fresh_questions())))
