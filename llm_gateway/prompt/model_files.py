"""Read the small JSON files that come with a model; what their keys mean is for the callers to know."""

import json
from pathlib import Path


class ModelFileError(Exception):
    """A file that came with the model cannot be used; the message is one sentence."""


def read_json_object(path: Path) -> dict[str, object]:
    """Read a JSON object; a file that is not there is an empty one, since all of them are optional.

    Raises:
        ModelFileError: the file is there and is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path.name} cannot be read ({error}); fetch the model again") from error
    if not isinstance(content, dict):
        raise ModelFileError(
            f"{path.name} is a JSON {type(content).__name__}, expected an object; fetch the model again"
        )
    return content


def token_text(entry: object) -> str | None:
    """Read a token as configurations write it: the text itself, or an object whose `content` is the text."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else None
