"""From what a client sent to token ids: messages, texts, ids, and what is kept of them."""

import pytest
from tokenizers import Tokenizer

from llm_gateway.errors import InvalidRequestError
from llm_gateway.generation import PromptSource
from llm_gateway.prompt.chat_template import ChatTemplate
from llm_gateway.prompt.prepare import prepare_prompt
from llm_gateway.prompt.tokenizer import PromptTokenizer
from tests.unit.gateway import small_tokenizers

TEMPLATE = ChatTemplate(
    "{% for message in messages %}<{{ message.role }}>{{ message.content | trim }}</{{ message.role }}>{% endfor %}"
    "{% if tools %}[{{ tools | length }} tools]{% endif %}{% if add_generation_prompt %}<assistant>{% endif %}",
    {},
)
USER = {"role": "user", "content": "How?"}


@pytest.fixture(scope="module")
def tokenizer() -> PromptTokenizer:
    underlying: Tokenizer = small_tokenizers.byte_level()
    return PromptTokenizer(underlying, frozenset())


def test_a_text_is_one_turn_of_the_user(tokenizer: PromptTokenizer) -> None:
    prompt = prepare_prompt(PromptSource(text="How?"), tokenizer, TEMPLATE)
    assert prompt.text == "<user>How?</user><assistant>"
    assert prompt.token_ids == tokenizer.encode(prompt.text, add_special_tokens=False)


def test_a_raw_text_and_one_without_a_template_stay_as_they_are(tokenizer: PromptTokenizer) -> None:
    assert prepare_prompt(PromptSource(text="How?", raw=True), tokenizer, TEMPLATE).text == "How?"
    assert prepare_prompt(PromptSource(text="How?"), tokenizer, None).text == "How?"


def test_token_ids_are_taken_as_they_are_and_unknown_ones_refused(tokenizer: PromptTokenizer) -> None:
    assert prepare_prompt(PromptSource(token_ids=(3, 4)), tokenizer, TEMPLATE).token_ids == [3, 4]
    with pytest.raises(InvalidRequestError, match="token id 999999"):
        prepare_prompt(PromptSource(token_ids=(3, 999999)), tokenizer, TEMPLATE)


def test_a_final_message_that_is_continued_has_no_end(tokenizer: PromptTokenizer) -> None:
    begun = {"role": "assistant", "content": "Set GATEWAY"}
    prompt = prepare_prompt(PromptSource(messages=(USER, begun), continue_final_message=True), tokenizer, TEMPLATE)
    assert prompt.text == "<user>How?</user><assistant>Set GATEWAY"


def test_tools_are_shown_to_the_template_only_where_there_are_any(tokenizer: PromptTokenizer) -> None:
    tools = ({"type": "function"}, {"type": "function"})
    assert "[2 tools]" in prepare_prompt(PromptSource(messages=(USER,)), tokenizer, TEMPLATE, tools).text
    assert "tools]" not in prepare_prompt(PromptSource(messages=(USER,)), tokenizer, TEMPLATE).text


def test_of_a_long_prompt_the_last_tokens_are_kept(tokenizer: PromptTokenizer) -> None:
    whole = prepare_prompt(PromptSource(text="How do I change the port?", raw=True), tokenizer, None).token_ids
    kept = prepare_prompt(PromptSource(text="How do I change the port?", raw=True, keep_last_tokens=3), tokenizer, None)
    assert kept.token_ids == whole[-3:]


def test_messages_for_a_model_without_a_template_are_refused(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(InvalidRequestError, match="no chat template"):
        prepare_prompt(PromptSource(messages=(USER,)), tokenizer, None)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ messages[0].content }}{% if enable_thinking is false %}<think></think>{% endif %}", "How?<think></think>"),
        ("{{ messages[-1].content }}<think>", "How?<think>\n</think>\n\n"),
        ("{{ messages[-1].content }}", "How?"),
    ],
)
def test_a_thinking_model_is_kept_to_the_point_by_its_own_switch_or_by_ending_its_thoughts(
    tokenizer: PromptTokenizer, template: str, text: str
) -> None:
    prompt = prepare_prompt(PromptSource(messages=(USER,)), tokenizer, ChatTemplate(template, {}), to_the_point=True)
    assert prompt.text == text
    assert prompt.token_ids == tokenizer.encode(text, add_special_tokens=False)
