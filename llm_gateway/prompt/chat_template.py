"""Turn a conversation into the one text that a model was trained to continue, by the template that came with it.

A template is a program written by whoever published the model: it runs in Jinja's sandbox, may not change what it is
given, and its output is bounded. The environment is the one that `transformers` offers, so templates mean the same.
Given the names of the model's control tokens, it can also be rendered so that what it writes is told from what a user
wrote (`render_named`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import jinja2
from jinja2.ext import Extension
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm_gateway.prompt.control_names import ControlNames
from llm_gateway.prompt.model_files import ModelFileError, read_json_object, token_text
from llm_gateway.prompt.template_literals import name_control_tokens
from llm_gateway.prompt.template_probe import Conversation, tokens_without_names

MAX_RENDERED_CHARACTERS = 8 << 20
"""Bound of what a template may produce: eight times the longest body that is accepted unless someone raises that."""

_MAX_REPEATED_CHARACTERS = 1 << 16
_SPECIAL_TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class ChatTemplateError(Exception):
    """A template cannot be read, or refuses a conversation; the message is one sentence."""


class ChatTemplate:
    """One compiled template with the model's special tokens at hand; safe to use from several threads."""

    def __init__(self, source: str, special_tokens: Mapping[str, str], names: ControlNames | None = None) -> None:
        """Compile; `names` are those of the control tokens that `render_named` is to write.

        Raises:
            ChatTemplateError: the source is not a template.
        """
        self.source = source
        self.names = names
        self._special_tokens = dict(special_tokens)
        self._named: jinja2.Template | None = None
        environment = _environment()
        try:
            self._template = environment.from_string(source)
            if names is not None:
                parsed = environment.parse(source)
                name_control_tokens(parsed, names)
                self._named = environment.from_string(parsed)
        except jinja2.TemplateSyntaxError as error:
            raise ChatTemplateError(
                f"the model's chat template has an error in line {error.lineno}: {error.message}; "
                "correct chat_template.jinja where the model comes from, and fetch it again"
            ) from error
        self.composed: frozenset[str] = frozenset() if names is None else self._look_for_composed(names)
        """Control tokens that the template may write without their names, since it puts them together from pieces."""

    @classmethod
    def load(cls, folder: Path, names: ControlNames | None = None) -> "ChatTemplate | None":
        """Read the template of the model in `folder`, or return None where it has none.

        Raises:
            ChatTemplateError: there is one, and it cannot be used.
        """
        try:
            settings = read_json_object(folder / "tokenizer_config.json")
            source = _source(folder, settings)
        except ModelFileError as error:
            raise ChatTemplateError(str(error)) from error
        texts = {name: token_text(settings.get(name)) for name in _SPECIAL_TOKEN_NAMES}
        special_tokens = {name: text for name, text in texts.items() if text is not None}
        return None if source is None else cls(source, special_tokens, names)

    def render(
        self, messages: Sequence[Mapping[str, object]], /, *, add_generation_prompt: bool = True, **kwargs: object
    ) -> str:
        """Render a conversation; `kwargs` are the template's own variables, such as `tools` or `enable_thinking`.

        Raises:
            ChatTemplateError: the template refuses the conversation, fails on it, or produces too much.
        """
        values = {**self._special_tokens, **kwargs, "add_generation_prompt": add_generation_prompt}
        return _render(self._template, messages, values)

    def render_named(
        self, messages: Sequence[Mapping[str, object]], /, *, add_generation_prompt: bool = True, **kwargs: object
    ) -> str:
        """Render, with the names of the control tokens where the template itself writes them; else like `render`.

        Raises:
            ChatTemplateError: as with `render`.
        """
        if self._named is None or self.names is None:
            return self.render(messages, add_generation_prompt=add_generation_prompt, **kwargs)
        tokens = {name: self.names.named(text) for name, text in self._special_tokens.items()}
        values = {**tokens, **kwargs, "add_generation_prompt": add_generation_prompt}
        try:
            return _render(self._named, messages, values)
        except ChatTemplateError as error:
            # A template may quote a token in its refusal, and its name is nobody's business.
            raise ChatTemplateError(self.names.restored(str(error))) from None

    def _look_for_composed(self, names: ControlNames) -> frozenset[str]:
        found = tokens_without_names(names, _tried(self.render), _tried(self.render_named))
        if found is None:
            self._named = None
        return frozenset(names.tokens) if found is None else found


def _render(
    template: jinja2.Template, messages: Sequence[Mapping[str, object]], variables: Mapping[str, object]
) -> str:
    values = {"tools": None, "documents": None, **variables, "messages": [dict(message) for message in messages]}
    pieces: list[str] = []
    room = MAX_RENDERED_CHARACTERS
    try:
        for piece in template.generate(values):
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                raise _RefusedByTemplateError(f"it produced more than {MAX_RENDERED_CHARACTERS} characters")
    except _RefusedByTemplateError as error:
        raise ChatTemplateError(f"the model's chat template refuses these messages: {error.message}") from error
    except Exception as error:  # a template can raise whatever its expressions can
        raise ChatTemplateError(
            f"the model's chat template cannot read these messages ({type(error).__name__}: {error}); "
            "send messages with role and content as text"
        ) from error
    return "".join(pieces)


def _tried(render: Callable[[Sequence[Mapping[str, object]]], str]) -> Callable[[Conversation], str | None]:
    """Make of a refusal no text."""

    def text(conversation: Conversation) -> str | None:
        try:
            return render(conversation)
        except ChatTemplateError:
            return None

    return text


class _RefusedByTemplateError(jinja2.TemplateError):
    """The template called `raise_exception`, or was stopped."""


class _GenerationBlock(Extension):
    """Accept `{% generation %}`, with which training code marks the model's own words; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it so

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which `'a' * 10**12` is refused before it takes the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: object, right: object) -> object:
        if operator == "**" or not (_is_small(left) and _is_small(right)):
            raise _RefusedByTemplateError(f"it calculates something too large with {operator}")
        return super().call_binop(context, operator, left, right)


def _is_small(value: object) -> bool:
    if isinstance(value, int | float):
        return abs(value) <= _MAX_REPEATED_CHARACTERS
    return isinstance(value, Sequence) and len(value) <= _MAX_REPEATED_CHARACTERS


def _environment() -> _Sandbox:
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Replace Jinja's own filter, which escapes for HTML what a model should read as it is."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise _RefusedByTemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)


def _source(folder: Path, settings: Mapping[str, object]) -> str | None:
    """Find the template: a file of its own first, else what tokenizer_config.json holds, by name or alone."""
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except FileNotFoundError:
        found = settings.get("chat_template")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(f"chat_template.jinja cannot be read ({error}); fetch the model again") from error
    if isinstance(found, list):
        named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None
