"""What writes one schema, for those that write what contains it."""

from collections.abc import Callable
from typing import TypeAlias

Write: TypeAlias = Callable[[object, str], str]
"""From a schema, and the JSON pointer of its place, to an expression."""
