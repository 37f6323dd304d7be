"""Tell from a chat template which format its model writes tool calls in.

The template shows the model its own earlier calls, so what it writes around them is what the model was taught.
"""

import re

from llm_gateway.tool_calls.base import ToolFormat
from llm_gateway.tool_calls.hermes import Hermes
from llm_gateway.tool_calls.llama3 import PYTHON_TAG, Llama3
from llm_gateway.tool_calls.mistral import MARKER, Mistral
from llm_gateway.tool_calls.qwen_xml import QwenXml

_TOOLS = re.compile(r"\btools\b")
_PARAMETERS = re.compile(r"\\?[\"']parameters\\?[\"']\s*:")
_OTHER_XML = ("<arg_key>", "<tool_sep>")
"""Marks of GLM and Hunyuan, which put calls between <tool_call> and </tool_call> too, in formats of their own."""


def tool_format(template_source: str | None) -> ToolFormat | None:
    """Return the format, or None where the template has no place for tools, or for their calls one unknown here."""
    if template_source is None or not _TOOLS.search(template_source):
        return None
    if MARKER in template_source:
        return Mistral()
    if "<tool_call>" in template_source:
        return _between_tags(template_source)
    if "<function=" in template_source:
        return None
    if PYTHON_TAG in template_source or ("ipython" in template_source and _PARAMETERS.search(template_source)):
        return Llama3()
    return None


def _between_tags(template_source: str) -> ToolFormat | None:
    if any(mark in template_source for mark in _OTHER_XML):
        return None
    if "<function=" in template_source:
        return QwenXml()
    return Hermes() if "arguments" in template_source else None
