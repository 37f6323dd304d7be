"""Varies a question as people do: other openings, other words, politeness, missing words, slips of the finger.

It never returns a held-out question, not even by accident: what comes out is compared with them, and drawn again.
"""

import random
import re
import string

from demo_model.handbook import normalise

# Openings that ask for the same thing. Each row is interchangeable; what follows the opening stays as it is.
_OPENINGS = (
    (
        "how do i", "how can i", "how to", "how do you", "how does one", "how should i", "how would i", "how do we",
        "how can we", "i want to", "i would like to", "i'd like to", "i need to", "is there a way to", "show me how to",
        "tell me how to", "explain how to", "what do i do to", "what must i do to", "what is the way to", "help me",
        "what's the best way to", "steps to", "what should i do to", "i am trying to", "we want to", "can you help me",
    ),
    (
        "what is", "what's", "tell me about", "explain", "describe", "what are", "define", "give me details about",
        "information on", "i want to know about", "can you explain", "what can you tell me about", "whats",
    ),
    ("where is", "where's", "where do i find", "where can i find", "where can i see", "in which place is"),
    ("where are", "where do i find", "where can i find", "where can i see"),
    ("can i", "may i", "could i", "is it possible to", "am i able to", "can we", "can you", "is it okay to"),
    ("why is", "why's", "how come", "what is the reason that", "for what reason is"),
    ("which", "what"),
    ("does preheat", "can preheat", "will preheat", "is preheat able to"),
    ("is there", "do you have", "does preheat have", "are there"),
)  # fmt: skip

# Words that stand for one another in this handbook's questions.
_SYNONYMS = (
    ("change", "set", "modify", "adjust", "alter", "configure", "edit", "pick", "choose", "select", "switch"),
    ("increase", "raise", "enlarge", "grow", "bump", "extend"),
    ("decrease", "lower", "reduce", "shrink", "cut"),
    ("start", "launch", "run", "boot", "bring up", "fire up"),
    ("stop", "shut down", "turn off", "halt", "end", "terminate", "quit"),
    ("show", "display", "list", "print", "see", "view"),
    ("remove", "delete", "erase", "drop", "get rid of", "wipe"),
    ("check", "verify", "test", "inspect", "confirm"),
    ("use", "utilise", "employ", "take"),
    ("download", "fetch", "pull", "get"),
    ("server", "gateway", "service"),
    ("fetcher", "model fetcher", "model_fetcher", "downloader"),
    ("gateway", "llm gateway", "llm_gateway"),
    ("setting", "variable", "option", "parameter", "environment variable"),
    ("folder", "directory", "path"),
    ("error", "failure", "problem", "message"),
    ("fails", "does not work", "breaks", "goes wrong", "is failing"),
    ("machine", "computer", "host", "server", "box"),
    ("memory", "ram"),
    ("quick", "fast", "speedy"),
    ("slow", "sluggish", "taking long"),
    ("faster", "quicker", "speed up"),
    ("answer", "reply", "response", "output"),
    ("answers", "replies", "responses"),
    ("request", "call", "query"),
    ("requests", "calls", "queries"),
    ("maximum", "max", "largest", "biggest", "highest", "upper limit of"),
    ("big", "large", "long"),
    ("internet", "network", "online connection"),
    ("offline", "without internet", "without a network", "air-gapped"),
    ("token", "access token"),
    ("model", "language model", "llm"),
    ("meaning", "sense", "purpose"),
    ("mean", "stand for", "signify"),
    ("allow", "permit", "enable"),
    ("enable", "turn on", "activate", "switch on"),
    ("disable", "turn off", "deactivate", "switch off"),
    ("restart", "reboot", "start again"),
    ("wait", "hold on"),
    ("need", "require"),
    ("docker compose", "compose", "docker-compose"),
    ("weights", "model files", "weight files"),
    ("precision", "accuracy of numbers"),
    ("copy", "move", "transfer", "carry"),
    ("limit", "cap", "restrict"),
    ("enough", "sufficient", "plenty of"),
    ("not enough", "too little", "insufficient", "not sufficient"),
    ("forbid", "prevent", "block", "disallow", "prohibit"),
    ("cancel", "abort", "interrupt", "break off"),
    ("interrupted", "cut off", "aborted", "broken off", "cancelled"),
    ("damaged", "corrupted", "broken", "corrupt", "defective"),
    ("task", "job", "role", "duty", "purpose"),
    ("another", "a different", "some other", "a new"),
    ("other machine", "other computer", "different machine", "remote machine"),
    ("bad", "poor", "wrong", "terrible", "low-quality"),
    ("private", "confidential", "secret"),
    ("secure", "safe", "protected"),
    ("variety", "variation", "diversity"),
    ("several", "multiple", "more than one", "a few"),
    ("stuck", "hanging", "frozen", "stalled"),
    ("hangs", "gets stuck", "freezes", "stalls"),
    ("in use", "taken", "occupied", "busy", "used already"),
    ("find", "locate", "look up", "discover"),
    ("size", "length", "extent"),
    ("crash", "die", "break down", "fall over"),
    ("crashes", "dies", "breaks down", "exits"),
    ("exit", "end", "stop", "quit"),
    ("explain", "describe", "tell me"),
    ("purpose", "use", "point", "goal"),
    ("accept", "take", "understand"),
    ("values", "choices", "settings", "possibilities"),
    ("upgrade", "update", "move to a newer version of"),
    ("latest", "newest", "most recent"),
    ("before", "earlier than", "prior to"),
    ("possible", "supported", "available"),
    ("support", "offer", "provide", "understand"),
    ("tokens", "pieces of text"),
    ("gets", "receives", "obtains"),
    ("keep", "hold", "retain", "store"),
    ("stored", "kept", "saved", "held"),
    ("creative", "varied", "diverse", "random"),
    ("generation", "generating", "text generation"),
    ("conversation", "chat", "dialogue"),
    ("refused", "rejected", "denied", "turned down"),
    ("thanks", "thank you", "cheers"),
    ("default", "standard value", "preset"),
    ("happens", "occurs", "goes on"),
)  # fmt: skip
# Ways to ask about a thing by its name: a setting, an endpoint, a phase.
_ABOUT_A_NAME = (
    "What is {}?", "What does {} do?", "What does {} mean?", "What is {} for?", "What is the use of {}?", "Explain {}.",
    "Tell me about {}.", "How do I use {}?", "What is the meaning of {}?", "Describe {}.", "{} explained", "{}?",
    "What do I need {} for?", "Can you explain {}?", "What can you tell me about {}?", "I do not understand {}.",
    "What happens with {}?", "What about {}?", "When do I need {}?", "Why is there {}?", "What does {} control?",
)  # fmt: skip
_ABOUT_A_CODE = (
    "What does exit code {} mean?", "Exit code {}", "exit code {}?", "It exited with code {}.", "exited with code {}",
    "The container exited with code {}.", "Error code {}", "The fetcher stopped with {}.", "Return code {}", "code {}",
    "Why exit code {}?", "Why does it end with code {}?", "exited ({})", "The exit status is {}.", "Why code {}?",
    "The fetcher ended with code {}, why?", "Explain exit code {}.", "What is the reason for exit code {}?",
)  # fmt: skip
_ASKS_ABOUT_A_CODE = re.compile(r"[Ee]xit code (\d+)")
_ASKS_ABOUT_A_NAME = re.compile(r"^(?:What is )?(/?[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*)\??$")
_BEFORE = (
    "Please", "Hi,", "Hello,", "Hey,", "Quick question:", "Excuse me,", "Sorry,", "Question:", "So", "And", "OK,",
    "Could you tell me:", "Tell me:", "One more thing:", "I wonder:", "Maybe you know:", "Hi there!", "Good morning.",
)  # fmt: skip
_AFTER = ("please", "thanks", "in preheat", "with preheat", "here", "exactly", "for me", "again", "please?", "now")
_SMALL_WORDS = frozenset(
    ("a", "an", "the", "my", "its", "it", "is", "are", "do", "does", "i", "to", "of", "for", "in", "on", "with", "be",
     "please", "that", "this", "can", "you", "your", "which", "me", "and", "so")
)  # fmt: skip


class Augmenter:
    """Varies questions with one generator of random numbers, so that a seed decides everything."""

    def __init__(self, forbidden: frozenset[str], rng: random.Random) -> None:
        """`forbidden`: normalised questions that must never come out."""
        self._forbidden = forbidden
        self._rng = rng

    def vary(self, question: str) -> str:
        """Return another way to ask; a fifth of the time the question as it stands."""
        while True:
            varied = question if self._rng.random() < 0.2 else self._surface(self._words(question))
            if normalise(varied) and normalise(varied) not in self._forbidden:
                return varied

    def _words(self, question: str) -> str:
        rng = self._rng
        text = self._other_opening(question) if rng.random() < 0.5 else question
        while rng.random() < 0.45:
            text = self._other_word(text)
        if rng.random() < 0.4:
            text = self._fewer_words(text)
        if rng.random() < 0.15:
            text = f"{rng.choice(_BEFORE)} {text[:1].lower()}{text[1:]}"
        if rng.random() < 0.1:
            text = f"{text.rstrip('?.! ')} {rng.choice(_AFTER)}"
        return text

    def _other_opening(self, question: str) -> str:
        named = _ASKS_ABOUT_A_NAME.match(question)
        if named and _is_a_technical_name(named[1]):
            return self._rng.choice(_ABOUT_A_NAME).format(named[1])
        code = _ASKS_ABOUT_A_CODE.search(question)
        if code:
            return self._rng.choice(_ABOUT_A_CODE).format(code[1])
        lowered = question.lower()
        for row in _OPENINGS:
            for opening in row:
                if lowered.startswith(opening + " "):
                    other = self._rng.choice(row)
                    return other.capitalize() + question[len(opening) :]
        return question

    def _other_word(self, question: str) -> str:
        padded = f" {question.lower()}"
        rows = [(row, word) for row in _SYNONYMS for word in row if f" {word}" in padded]
        rows = [(row, word) for row, word in rows if _ends_a_word(padded, padded.index(f" {word}") + len(word) + 1)]
        if not rows:
            return question
        row, word = self._rng.choice(rows)
        at = padded.index(f" {word}")
        return question[:at] + self._rng.choice(row) + question[at + len(word) :]

    def _fewer_words(self, question: str) -> str:
        rng = self._rng
        words = question.split()
        if len(words) < 3:
            return question
        kept = [w for w in words if not (w.lower() in _SMALL_WORDS and rng.random() < 0.4)]
        if rng.random() < 0.25 and len(kept) > 3:
            kept.pop(rng.randrange(len(kept)))
        return " ".join(kept) or question

    def _surface(self, text: str) -> str:
        rng = self._rng
        if rng.random() < 0.2 and len(text) > 8:
            text = self._slip(text)
        chance = rng.random()
        if chance < 0.3:
            text = text.lower()
        elif chance < 0.33:
            text = text.upper()
        if rng.random() < 0.4:
            text = text.rstrip("?.!")
        elif rng.random() < 0.1:
            text = text.rstrip("?.!") + rng.choice(("??", "!", "?!", " ?", ".", "..."))
        return text

    def _slip(self, text: str) -> str:
        """One slip of the finger: two letters swapped, one missing, doubled or wrong."""
        rng = self._rng
        at = rng.randrange(1, len(text) - 1)
        if not (text[at].isalpha() and text[at + 1].isalpha()):
            return text
        slips = (
            text[:at] + text[at + 1] + text[at] + text[at + 2 :],
            text[:at] + text[at + 1 :],
            text[:at] + text[at] + text[at:],
            text[:at] + rng.choice(string.ascii_lowercase) + text[at + 1 :],
        )
        return rng.choice(slips)


def _is_a_technical_name(word: str) -> bool:
    return "_" in word or word.startswith("/") or (word.isupper() and len(word) > 3)


def _ends_a_word(text: str, at: int) -> bool:
    return at >= len(text) or not (text[at].isalnum() or text[at] == "_")
