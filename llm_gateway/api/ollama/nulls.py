"""What every body of this dialect has in common: null is the same as absent, as it is to a program in Go."""

from pydantic import BaseModel, ConfigDict, model_validator


class BodyWithoutNulls(BaseModel):
    """A JSON object of which unknown keys are ignored, and known ones have exactly the type that is named."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: object) -> object:
        return {key: value for key, value in body.items() if value is not None} if isinstance(body, dict) else body
