"""A promptfoo provider for Preheat's native API; it needs the standard library alone."""

import json
import urllib.error
import urllib.request
from typing import Any


def call_api(prompt: str, options: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Answer one prompt; `options["config"]` has `url` and any key of the native API, such as `max_tokens`.

    promptfoo hands over a conversation as JSON text: a list of messages is sent as messages, anything else as a prompt.
    """
    keys = dict(options.get("config") or {})
    url = f"{keys.pop('url', 'http://localhost:8085')}/generate"
    keys = {key: value for key, value in keys.items() if key != "basePath"}
    body = json.dumps(_question(prompt) | {"config": keys}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - the user's own URL
    try:
        with urllib.request.urlopen(request, timeout=600) as response:  # noqa: S310
            return _answer(json.load(response))
    except urllib.error.HTTPError as error:
        return {"error": f"{url} answered {error.code}: {error.read().decode(errors='replace')}"}
    except urllib.error.URLError as error:
        return {"error": f"{url} cannot be reached ({error.reason}); start it with docker compose up --wait"}


def _question(prompt: str) -> dict[str, Any]:
    try:
        parsed = json.loads(prompt)
    except json.JSONDecodeError:
        return {"prompt": prompt}
    return {"messages": parsed} if isinstance(parsed, list) else {"prompt": prompt}


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    usage = answer["usage"]
    return {
        "output": answer["output"],
        "finishReason": answer["finish_reason"],
        "tokenUsage": {
            "prompt": usage["prompt_tokens"],
            "completion": usage["completion_tokens"],
            "total": usage["total_tokens"],
        },
    }
