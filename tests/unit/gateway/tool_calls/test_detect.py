"""Which format a chat template speaks of; small templates with the marks of the real ones."""

import pytest

from llm_gateway.tool_calls.detect import tool_format

HERMES = """{%- if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>
{{- '<tool_call>\\n{"name": <name>, "arguments": <json>}\\n</tool_call>' }}{%- endif %}"""
LLAMA3 = """{%- if tools is not none %}{{- "Environment: ipython" }}
{{- 'Respond in the format {"name": function name, "parameters": dictionary}.' }}{%- endif %}"""
LLAMA3_CODE = """{%- if tools is defined %}{{- "<|python_tag|>" + call.name }}{{ '"parameters": ' }}{%- endif %}"""
LLAMA3_PYTHONIC = """{%- if tools is not none %}{{- "Environment: ipython" }}
{{- 'Respond in the format [name(param=value)]' }}{%- endif %}"""
MISTRAL = """{%- if tools is not none %}[AVAILABLE_TOOLS]{{ tools }}[/AVAILABLE_TOOLS]{%- endif %}
{{- "[TOOL_CALLS] [" }}{{ call.function | tojson }}]"""
MISTRAL_NAMES = (
    """{%- if tools %}{{ tools }}{%- endif %}{{- '[TOOL_CALLS]' + call.name + '[ARGS]' + call.arguments }}"""
)
QWEN_XML = """{%- if tools %}{{ tools }}{%- endif %}<tool_call>\n<function=a>\n<parameter=b>\n{{ arguments }}"""
GLM = """{% if tools %}{{ tools }}{% endif %}<tool_call>{name}<arg_key>a</arg_key>{{ arguments }}</tool_call>"""
FUNCTIONARY = """{% if tools %}{{ tools }}{% endif %}<|python_tag|> <function=name>{arguments}</function>"""
PLAIN = """{% for message in messages %}{{ message.content }}{% endfor %}"""


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (HERMES, "hermes"),
        (LLAMA3, "llama3"),
        (LLAMA3_CODE, "llama3"),
        (MISTRAL, "mistral"),
        (MISTRAL_NAMES, "mistral"),
        (QWEN_XML, "qwen_xml"),
    ],
)
def test_each_format_is_known_by_its_marks(source: str, name: str) -> None:
    found = tool_format(source)
    assert found is not None
    assert found.name == name
    assert all(source.count(token) or name != "hermes" for token in found.marker_tokens)


@pytest.mark.parametrize("source", [None, "", PLAIN, LLAMA3_PYTHONIC, GLM, FUNCTIONARY, HERMES.replace("tools", "x")])
def test_a_template_without_tools_or_with_an_unknown_format_has_none(source: str | None) -> None:
    assert tool_format(source) is None
