"""Find the rules of a grammar from which no finite answer can be made, such as a list that must contain itself."""

import re
from collections.abc import Mapping

_LOOKAHEAD = re.compile(r" \(=[^()]*\)$")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|[A-Za-z_][A-Za-z0-9_]*|\{\d+(?:,\d*)?\}|[()|?*+]')
_CAN_BE_NONE = ("?", "*", "{0}", "{0,")


def rules_without_end(expressions: Mapping[str, str]) -> set[str]:
    """Return the names of the rules that have no finite sentence; every rule is a name and its expression."""
    tokens = {name: _TOKEN.findall(_LOOKAHEAD.sub("", expression)) for name, expression in expressions.items()}
    ending: set[str] = set()
    waiting = list(tokens)
    while True:
        # A rule found to end counts at once: rules are mostly defined after those they refer to, so one pass does.
        left = []
        for name in waiting:
            if _ends(tokens[name], ending):
                ending.add(name)
            else:
                left.append(name)
        if len(left) == len(waiting):
            return set(left)
        waiting = left


def _ends(tokens: list[str], ending: set[str]) -> bool:
    """Say whether the expression has a finite sentence, taking the rules in `ending` for granted."""
    # One entry for each open group: whether an earlier alternative ends, and whether this one does so far.
    groups: list[list[bool]] = [[False, True]]
    before_last = last = True
    for word in tokens:
        if word.startswith(_CAN_BE_NONE):
            groups[-1][1] = before_last
        elif word == "(":
            groups.append([False, True])
        elif word == "|":
            groups[-1] = [any(groups[-1]), True]
        elif word[0] not in "+{":
            last = any(groups.pop()) if word == ")" else word[0] in '"[' or word in ending
            before_last = groups[-1][1]
            groups[-1][1] = before_last and last
    return any(groups[0])
