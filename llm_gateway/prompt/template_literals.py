"""Put secret names in the place of the control tokens that a chat template writes itself.

Only what is written is named. Where a template asks about a message (`'</s>' in content`, `content.split('</s>')`), the
literal stays as it is, so that the answer stays the same.
"""

from collections.abc import Iterator
from typing import Final

from jinja2 import nodes

from llm_gateway.prompt.control_names import ControlNames

_ASKING_METHODS: Final = frozenset(
    {"split", "rsplit", "partition", "rpartition", "startswith", "endswith", "removeprefix", "removesuffix"}
    | {"strip", "lstrip", "rstrip", "find", "rfind", "index", "rindex", "count", "replace", "get"}
)


def name_control_tokens(template: nodes.Template, names: ControlNames) -> None:
    """Change a parsed template in place."""
    asked = {id(node) for node in _asked(template)}
    for data in template.find_all(nodes.TemplateData):
        data.data = names.named(data.data)
    for literal in template.find_all(nodes.Const):
        if isinstance(literal.value, str) and id(literal) not in asked:
            literal.value = names.named(literal.value)


def _asked(template: nodes.Template) -> Iterator[nodes.Node]:
    """Find the literals that are compared, searched for, or looked up, and never written."""
    for comparison in template.find_all(nodes.Compare):
        for side in (comparison.expr, *(operand.expr for operand in comparison.ops)):
            yield from _literals(side)
    yield from _searched_for(template)
    for test in template.find_all(nodes.Test):
        yield from test.args
    for lookup in template.find_all(nodes.Getitem):
        yield lookup.arg
    for pair in template.find_all(nodes.Pair):
        yield pair.key


def _searched_for(template: nodes.Template) -> Iterator[nodes.Node]:
    """What `replace` puts in is written; what it and all the others look for comes first."""
    for call in template.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr in _ASKING_METHODS and call.args:
            yield from _literals(call.args[0])
    for change in template.find_all(nodes.Filter):
        if change.name == "replace":
            yield from change.args[:1]


def _literals(expression: nodes.Node) -> Iterator[nodes.Node]:
    """The expression itself, and what stands in it where it is a list: `role in ['user', 'tool']`."""
    yield expression
    if isinstance(expression, nodes.List | nodes.Tuple):
        yield from expression.items
