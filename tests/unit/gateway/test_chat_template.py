"""Templates as models really ship them, and templates that mean no good."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from llm_gateway.prompt import chat_template
from llm_gateway.prompt.chat_template import ChatTemplate, ChatTemplateError

HELLO = [{"role": "user", "content": "Grüße <b>"}]
CHATML = (
    "{%- for message in messages %}\n"
    "    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "    {{- '<|im_start|>assistant\\n' }}\n"
    "{%- endif %}"
)


def write_model(folder: Path, settings: Mapping[str, object] | None = None, jinja: str | None = None) -> Path:
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    if jinja is not None:
        (folder / "chat_template.jinja").write_text(jinja, encoding="utf-8")
    return folder


def load(folder: Path) -> ChatTemplate:
    template = ChatTemplate.load(folder)
    assert template is not None
    return template


def render(source: str) -> str:
    return ChatTemplate(source, {}).render(HELLO)


def test_a_conversation_becomes_the_text_that_the_model_was_trained_on(tmp_path: Path) -> None:
    template = load(write_model(tmp_path, jinja=CHATML))
    messages = [*HELLO, {"role": "assistant", "content": "Hello"}]

    assert template.render(HELLO) == "<|im_start|>user\nGrüße <b><|im_end|>\n<|im_start|>assistant\n"
    assert template.render(messages, add_generation_prompt=False).endswith("assistant\nHello<|im_end|>\n")


def test_the_file_of_its_own_wins_over_the_configuration(tmp_path: Path) -> None:
    folder = write_model(tmp_path, {"chat_template": "old"}, jinja="new")

    assert load(folder).render(HELLO) == "new"


def test_of_several_named_templates_the_default_is_taken(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]

    assert load(write_model(tmp_path, {"chat_template": named})).render(HELLO) == "plain"


def test_a_model_without_a_template_has_none(tmp_path: Path) -> None:
    assert ChatTemplate.load(tmp_path) is None
    assert ChatTemplate.load(write_model(tmp_path, {"chat_template": None})) is None


def test_special_tokens_are_at_hand_as_text_and_as_objects(tmp_path: Path) -> None:
    settings = {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}, "pad_token": None}
    folder = write_model(
        tmp_path, settings, jinja="{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}"
    )

    assert load(folder).render(HELLO) == "<s>Grüße <b></s>"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ messages[0] | tojson }}", '{"role": "user", "content": "Grüße <b>"}'),
        ("{{ {'b': 1, 'a': [1]} | tojson(indent=1, sort_keys=True) }}", '{\n "a": [\n  1\n ],\n "b": 1\n}'),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("a\n  {% if true %}\nb\n  {% endif %}\nc", "a\nb\nc"),
        ("{% generation %}{{ messages[0].role }}{% endgeneration %}", "user"),
        ("{{ tools is none }} {{ documents is none }} {{ thinking is defined }}", "True True False"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{{ '-' * 3 }}", "---"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
    ],
)
def test_what_transformers_offers_to_templates_is_there(source: str, expected: str) -> None:
    assert render(source) == expected


def test_variables_of_the_template_can_be_given() -> None:
    template = ChatTemplate("{{ 'yes' if enable_thinking else 'no' }}", {})

    assert template.render(HELLO, enable_thinking=True) == "yes"


def test_a_template_that_refuses_a_conversation_is_quoted() -> None:
    source = "{% if messages[0].role != 'system' %}{{ raise_exception('roles must alternate') }}{% endif %}"

    with pytest.raises(ChatTemplateError, match=r"refuses these messages: roles must alternate$"):
        render(source)


@pytest.mark.parametrize("source", ["{{ messages[3].content + 'x' }}", "{{ 'a' + 1 }}", "{{ {}['x'].y }}"])
def test_a_template_that_stumbles_over_a_conversation_is_a_sentence(source: str) -> None:
    with pytest.raises(ChatTemplateError, match=r"cannot read these messages .*send messages with role and content"):
        render(source)


def test_a_template_with_a_typing_error_is_refused_at_load(tmp_path: Path) -> None:
    with pytest.raises(ChatTemplateError, match="has an error in line 2"):
        ChatTemplate.load(write_model(tmp_path, jinja="a\n{% endfor %}"))


def test_a_configuration_that_is_no_json_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{", encoding="utf-8")

    with pytest.raises(ChatTemplateError, match=r"tokenizer_config\.json cannot be read"):
        ChatTemplate.load(tmp_path)


def test_a_configuration_that_is_a_list_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("[]", encoding="utf-8")

    with pytest.raises(ChatTemplateError, match="is a JSON list, expected an object"):
        ChatTemplate.load(tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='x') }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ 'a' * 1000000000 }}",
        "{% for i in range(1000000) %}{% endfor %}",
    ],
)
def test_a_template_can_neither_reach_out_nor_take_the_memory(source: str) -> None:
    with pytest.raises(ChatTemplateError):
        render(source)


def test_the_messages_that_were_given_stay_as_they_are() -> None:
    messages = [{"role": "user", "content": "x"}]
    with pytest.raises(ChatTemplateError):
        ChatTemplate("{{ messages[0].clear() }}", {}).render(messages)

    assert messages == [{"role": "user", "content": "x"}]


def test_a_template_that_never_stops_writing_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_RENDERED_CHARACTERS", 1000)

    with pytest.raises(ChatTemplateError, match="produced more than 1000 characters"):
        render("{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxxxx{% endfor %}{% endfor %}")
