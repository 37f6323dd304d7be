"""What `/openapi.json` says of errors: each route's own shape, in place of the web framework's, which is never sent."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI

from llm_gateway.api.dialects import dialect_of

_FRAMEWORKS_OWN: Final = ("HTTPValidationError", "ValidationError")


def describe_errors(api: FastAPI) -> None:
    """Make the description of `api` tell the truth about answers that are no answers."""
    plain: Callable[[], dict[str, Any]] = api.openapi

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _with_own_errors(plain())
        return api.openapi_schema

    api.openapi = described  # type: ignore[method-assign]  # the way that FastAPI documents


def _with_own_errors(description: dict[str, Any]) -> dict[str, Any]:
    for path, operations in description["paths"].items():
        schema = dialect_of(path).error_schema
        for operation in operations.values():
            responses = operation["responses"]
            responses.pop("422", None)
            responses["default"] = {
                "description": "Refused or failed, with one sentence that says why.",
                "content": {"application/json": {"schema": schema}},
            }
    schemas = description.get("components", {}).get("schemas", {})
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    return description
