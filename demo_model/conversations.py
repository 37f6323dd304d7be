"""Makes training conversations out of topics: which turns, in which wrapping, and where the loss counts.

The text is the one that `chat_template.jinja` makes (a test compares the two), cut into pieces that say whether the
model is to learn them. Token ids and tensors are somebody else's.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from demo_model import abilities
from demo_model.augment import Augmenter
from demo_model.handbook import Topic, held_out_forms, normalise
from demo_model.keywords import Keywords

TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
PADDING = "<|endoftext|>"
SPECIAL_TOKENS = (PADDING, TURN_START, TURN_END)

CHAT_TEMPLATE = """{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You answer questions about Preheat.",
    "You are Preheat's handbook.",
    "Answer briefly.",
    "You are a helpful, honest and concise assistant. Answer in English.",
    "Be kind and precise. If you do not know, say so.",
    "You support people who run a language model with Docker Compose.",
    "Keep your answers short and polite.",
)
SINGLE_TURN_SHARE = 0.85
SYSTEM_SHARE = 0.25
PLAIN_SHARE = 0.08
KEYWORDS_SHARE = 0.12
BLEND_SHARE = 0.12
UNKNOWN_WORDS_SHARE = 0.4
OUT_OF_SCOPE = "out-of-scope"
BEGINNING_WORDS = 8


MOST_EXCHANGES = 30


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a stretch of the training dwells on, as shares of all conversations."""

    counting: Callable[[random.Random], tuple[str, str]]
    counting_share: float
    beginnings_share: float
    """Of the short conversations: those that learn only how the answer begins."""
    long_share: float
    """Conversations with many turns, or with much text before the question."""


# Many questions in short conversations; then all that a server's users send; then what was still weak, once more.
FIRST_LESSON = Lesson(abilities.any_count, counting_share=0.04, beginnings_share=0.5, long_share=0.0)
SECOND_LESSON = Lesson(abilities.exact_count, counting_share=0.06, beginnings_share=0.3, long_share=0.12)
THIRD_LESSON = Lesson(abilities.short_count, counting_share=0.2, beginnings_share=0.3, long_share=0.05)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a conversation's text; `learn` marks what the model should come to say."""

    text: str
    learn: bool


def turn(role: str, content: str) -> str:
    """One turn as the chat template writes it."""
    return f"{TURN_START}{role}\n{content}{TURN_END}\n"


def chat(exchanges: list[tuple[str, str]], system: str | None) -> list[Piece]:
    """Wrap questions and answers as the chat template does."""
    pieces = [Piece(turn("system", system), learn=False)] if system else []
    for question, answer in exchanges:
        pieces.append(Piece(turn("user", question) + f"{TURN_START}assistant\n", learn=False))
        pieces.append(Piece(answer + TURN_END, learn=True))
        pieces.append(Piece("\n", learn=False))
    return pieces[:-1]


class ConversationMaker:
    """Draws conversations at random; the same generator gives the same conversations."""

    def __init__(self, topics: list[Topic], augmenter: Augmenter, rng: random.Random, lesson: Lesson) -> None:
        self._lesson = lesson
        self._topics = {topic.name: topic for topic in topics}
        self._names = [topic.name for topic in topics]
        # A topic with many questions (such as what is out of scope) is harder, and comes up more often.
        self._weights = [len(topic.questions) ** 0.5 for topic in topics]
        self._keywords = Keywords(topics, rng)
        self._augmenter = augmenter
        self._rng = rng

    def draw(self) -> list[Piece]:
        """One conversation: usually a question and its answer, sometimes up to four of them, sometimes bare text."""
        rng = self._rng
        if self._lesson.long_share and rng.random() < self._lesson.long_share:
            return self._long()
        exchanges = self._exchanges()
        while len(exchanges) < 4 and rng.random() > SINGLE_TURN_SHARE:
            exchanges = self._exchanges() + exchanges
        system = rng.choice(SYSTEM_PROMPTS) if rng.random() < SYSTEM_SHARE else None
        if len(exchanges) > 1:
            return chat(exchanges, system)
        question, answer = exchanges[0]
        if rng.random() < PLAIN_SHARE:
            return [Piece(question, learn=False), Piece("\n" + answer + TURN_END, learn=True)]
        if rng.random() < self._lesson.beginnings_share and answer.count(" ") > BEGINNING_WORDS:
            # Which answer it is shows in its first words; the rest is learnt by heart soon and need not come each time.
            return [*chat(exchanges, system)[:-1], Piece(" ".join(answer.split(" ")[:BEGINNING_WORDS]), learn=True)]
        return chat(exchanges, system)

    def _long(self) -> list[Piece]:
        """Many turns, or one question behind a long text; all within the context."""
        rng = self._rng
        short = [topic for topic in self._topics.values() if len(topic.answer) < 300]
        if rng.random() < 0.4:
            turns = [self._with_what_came_before(rng.choice(short).name) for _ in range(rng.randint(4, MOST_EXCHANGES))]
            return chat([exchange for several in turns for exchange in several], None)
        text = " ".join(rng.choice(short).answer for _ in range(rng.randint(3, MOST_EXCHANGES)))
        if rng.random() < 0.5:
            return chat(self._exchanges(), text)
        *before, (question, answer) = self._exchanges()
        return chat([*before, (f"{text}\n\n{question}", answer)], None)

    def _exchanges(self) -> list[tuple[str, str]]:
        if self._rng.random() < self._lesson.counting_share:
            return [self._lesson.counting(self._rng)]
        return self._with_what_came_before(self._rng.choices(self._names, self._weights)[0])

    def _with_what_came_before(self, name: str) -> list[tuple[str, str]]:
        topic = self._topics[name]
        exchange = (self._augmenter.vary(self._question(topic)), self._rng.choice(topic.answers))
        return [exchange] if topic.after is None else [*self._with_what_came_before(topic.after), exchange]

    def _question(self, topic: Topic) -> str:
        question = self._rng.choice(topic.questions)
        chance = self._rng.random()
        if topic.name == OUT_OF_SCOPE:
            return self._keywords.with_unknown_words(question) if chance < UNKNOWN_WORDS_SHARE else question
        if chance < KEYWORDS_SHARE and topic.after is None:
            return self._keywords.query(topic)
        return self._keywords.blend(topic) if chance < KEYWORDS_SHARE + BLEND_SHARE else question


def conversation_before(topic: Topic, topics: list[Topic]) -> list[tuple[str, str]]:
    """The exchanges that lead to a follow-up's question, in the handbook's own words; empty for other topics."""
    by_name = {other.name: other for other in topics}
    exchanges: list[tuple[str, str]] = []
    while topic.after is not None:
        topic = by_name[topic.after]
        exchanges.insert(0, (topic.questions[0], topic.answer))
    return exchanges


def training_texts(topics: list[Topic]) -> list[str]:
    """What the tokenizer is trained on: the questions and answers, without what is not ASCII.

    Emoji and other scripts are thus spelt byte by byte, several tokens a character, as they are in larger models whose
    vocabulary does not have them. A server that splits characters shows itself.

    Raises:
        ValueError: a held-out question is also among the questions to be trained on.
    """
    leaked = held_out_forms(topics) & {normalise(question) for topic in topics for question in topic.questions}
    if leaked:
        raise ValueError(f"held out and also trained on: {sorted(leaked)}; take them out of one of the two lists")
    spoken = [text for topic in topics for text in (*topic.questions, *topic.answers)]
    texts = [text.encode("ascii", "ignore").decode() for text in spoken]
    return [*texts, *(text.lower() for text in texts), *SYSTEM_PROMPTS, abilities.count(1, abilities.LAST_NUMBER)]
