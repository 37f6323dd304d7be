"""Lists in bodies: the first item that cannot be read is the only one that is looked for.

All that is told of a body is what is wrong with it first, and of a list with many thousand wrong items the others would
take hundreds of megabytes and stop the event loop.
"""

from typing import Annotated, TypeAlias, TypeVar

from pydantic import Field

_Item = TypeVar("_Item")

Items: TypeAlias = Annotated[list[_Item], Field(fail_fast=True)]
