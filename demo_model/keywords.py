"""Makes questions out of a topic's words alone, and words that nobody knows.

People type `gpu cuda support?` as well as sentences, and they ask about things that no handbook has. Both kinds are
made here from the questions that are trained on; grammar is left to `augment.py`.
"""

import random
import re
from collections import Counter

from demo_model.handbook import Topic

_WORD = re.compile(r"[\w/.-]*\w")
_ONSETS = (
    "b",
    "br",
    "c",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "qu",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou", "y")
_ENDINGS = ("", "", "n", "r", "s", "t", "l", "nd", "ck", "sh")


def words_of(text: str) -> list[str]:
    return _WORD.findall(text)


def invented_word(rng: random.Random) -> str:
    """A word of one to three syllables that means nothing."""
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_ENDINGS) for _ in range(rng.randint(1, 3)))


class Keywords:
    """Knows how telling each word is: the fewer topics use it, the more it says."""

    def __init__(self, topics: list[Topic], rng: random.Random) -> None:
        self._rng = rng
        self._bags = {
            topic.name: sorted({w.lower() for text in (*topic.questions, topic.answer) for w in words_of(text)})
            for topic in topics
        }
        self._topics_using = Counter(word for bag in self._bags.values() for word in bag)

    def query(self, topic: Topic) -> str:
        """Two to six of the topic's words, the telling ones first of all."""
        bag = self._bags[topic.name]
        weights = [1 / self._topics_using[word] for word in bag]
        chosen = {self._rng.choices(bag, weights)[0] for _ in range(self._rng.randint(2, 6))}
        return " ".join(self._rng.sample(sorted(chosen), len(chosen)))

    def blend(self, topic: Topic) -> str:
        """The beginning of one of the topic's questions and the end of another."""
        first, second = (self._rng.choice(topic.questions).rstrip("?.!").split() for _ in range(2))
        head = first[: self._rng.randint(1, len(first))]
        return " ".join([*head, *second[self._rng.randrange(len(second)) :]])

    def with_unknown_words(self, question: str) -> str:
        """Put invented words where no other topic has the word: what nobody has heard of is out of scope."""
        words = [
            invented_word(self._rng)
            if self._topics_using[w.lower().strip("?.!,")] <= 1 and self._rng.random() < 0.6
            else w
            for w in question.split()
        ]
        return " ".join(words)
