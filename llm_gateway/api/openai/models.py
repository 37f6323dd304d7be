"""The models that a client may name: the one that is served, once it is on the volume, loaded or not."""

import asyncio

import msgspec

from llm_gateway.api.parts import ApiParts
from llm_gateway.api.served_model import ServedModel
from llm_gateway.errors import UnknownModelError


class ModelBody(msgspec.Struct, kw_only=True):
    """A model."""

    id: str
    object: str = "model"
    created: int
    """When it was published on the volume: Unix time, in seconds."""
    max_model_len: int | None
    """Tokens of prompt and answer together; null until the model was loaded once."""
    owned_by: str = "preheat"
    root: str | None = None
    parent: str | None = None


class ModelList(msgspec.Struct, kw_only=True):
    """All of them."""

    object: str = "list"
    data: list[ModelBody]


class Models:
    """Answers from the volume; no engine is asked."""

    def __init__(self, parts: ApiParts, served: ServedModel) -> None:
        self._parts = parts
        self._served = served

    async def all(self) -> ModelList:
        """List the served model, or nothing while it is not on the volume."""
        model = await self._read()
        return ModelList(data=[] if model is None else [model])

    async def one(self, name: str) -> ModelBody:
        """Describe the model of that name.

        Raises:
            UnknownModelError: it is another model's, or its model is not on the volume.
        """
        self._served.check(name)
        model = await self._read()
        if model is None:
            raise UnknownModelError(f"{self._served.name} is not on the volume yet; GET /health says what helps")
        return model

    async def _read(self) -> ModelBody | None:
        description = await asyncio.to_thread(self._parts.shelf.served)
        if description is None:
            return None
        figures = self._parts.lifecycle.figures
        return ModelBody(
            id=self._served.name,
            created=int(description.published_at.timestamp()),
            max_model_len=None if figures is None else figures.context_tokens,
            root=self._served.name,
        )
