"""What can go wrong for a client, or stop the gateway, as one tree.

GatewayError                    each knows its HTTP status and its one-word kind
├── InvalidRequestError         422   a field has a value that cannot be used
│   ├── PromptTooLongError      400   prompt and answer do not fit the model's context
│   └── UnsupportedError        422   nothing is wrong with it, but this model or engine cannot do it
├── InvalidKeyError             401   there is no API key in the request, or a wrong one
├── ForeignPageError            403   a page in a browser asks that CORS_ORIGINS does not name
├── WrongHostError              421   the Host header names somebody else
├── RequestTimeoutError         408   the body did not come within REQUEST_READ_TIMEOUT_S
├── BodyTooLargeError           413   the body is longer than MAX_REQUEST_BYTES
├── UnknownModelError           404   the request names a model that is not served here
├── OverloadedError             429   there is no room; says when to come back
├── RateLimitedError            429   this key has used up its minute; says when to come back
├── NotReadyError               503   the model is on its way; says the phase and when to come back
├── GenerationFailedError       500   the engine gave up on this request
│   ├── WorkerDiedError         503   the model's process ended while it worked on this request
│   └── DeadlinePassedError     504   the answer was not whole after REQUEST_TIMEOUT_S
└── ClientLeftError             499   nobody is listening any more; logged, never sent

StartUpRefusal                  the gateway ends with `exit_code`, after one sentence in the log
├── MemoryPlanRefusal           17    the model cannot fit into what the machine allows
├── EngineRefusal               25    no engine that these settings allow can be used here
└── ModelUnloadableError        24    the engine could not load the model

A dialect turns the first kind into its own body in `api/<dialect>`; nobody else writes one. What can go wrong
in `api/` alone (no such route, a body that is no JSON) is defined there.
"""

from typing import ClassVar, Final

MAX_RETRY_AFTER_S: Final = 60
"""Clients give up on a longer `Retry-After` instead of waiting (openai-python, `_base_client.py`)."""


class GatewayError(Exception):
    """A request that ends without the answer it asked for; the message is one sentence for the client."""

    status: int = 500
    kind: ClassVar[str] = "internal_error"
    retry_after_s: int | None = None

    def __str__(self) -> str:
        """The sentence; halves of surrogate pairs that it quotes are escaped, since no UTF-8 can carry them."""
        return super().__str__().encode(errors="backslashreplace").decode()


class InvalidRequestError(GatewayError):
    """A field cannot be used as it is; the sentence names the field."""

    status = 422
    kind = "invalid_request"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class PromptTooLongError(InvalidRequestError):
    """The prompt, or the prompt and the answer asked for, exceed the context; the sentence has both numbers."""

    status = 400
    kind = "prompt_too_long"

    def __init__(self, message: str, *, prompt_tokens: int, max_tokens: int | None, context_tokens: int) -> None:
        super().__init__(message)
        self.prompt_tokens = prompt_tokens
        self.max_tokens = max_tokens
        """The answer's length, where it is what does not fit any more."""
        self.context_tokens = context_tokens


class UnsupportedError(InvalidRequestError):
    """The model or its engine cannot do what was asked; the sentence says what it can."""

    kind = "unsupported"


class InvalidKeyError(GatewayError):
    """The gateway has keys, and the request none of them."""

    status = 401
    kind = "invalid_api_key"


class ForeignPageError(GatewayError):
    """A page of another site sent this from somebody's browser."""

    status = 403
    kind = "foreign_page"


class WrongHostError(GatewayError):
    """The name that was asked is not known to be this gateway's."""

    status = 421
    kind = "wrong_host"


class RequestTimeoutError(GatewayError):
    """The client was too slow in sending its request."""

    status = 408
    kind = "request_timeout"


class BodyTooLargeError(GatewayError):
    """The body exceeds MAX_REQUEST_BYTES; it was not read to its end."""

    status = 413
    kind = "body_too_large"


class UnknownModelError(GatewayError):
    """The request names a model that this gateway does not serve."""

    status = 404
    kind = "model_not_found"


class OverloadedError(GatewayError):
    """Every place is taken, or those inside have so many tokens that this request would be too many."""

    status = 429
    kind = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitedError(GatewayError):
    """The key has used up what it may use in a minute; others have not."""

    status = 429
    kind = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReadyError(GatewayError):
    """The model cannot answer yet, or not any more."""

    status = 503
    kind = "not_ready"

    def __init__(self, message: str, *, phase: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.phase = phase
        self.retry_after_s = retry_after_s


class GenerationFailedError(GatewayError):
    """The engine refused or lost one request; the others go on."""

    status = 500
    kind = "generation_failed"


class WorkerDiedError(GenerationFailedError):
    """The model's process ended with this request in it; the model is being loaded again."""

    status = 503
    kind = "worker_died"
    retry_after_s = 5


class DeadlinePassedError(GenerationFailedError):
    """The time for one request has passed, before its answer began or in the middle of it.

    It has no `Retry-After`: what took too long once would be begun anew, and take as long.
    """

    status = 504
    kind = "deadline_passed"


class ClientLeftError(GatewayError):
    """The connection closed before the answer was whole."""

    status = 499
    kind = "client_left"


class StartUpRefusal(Exception):  # noqa: N818 - a refusal is a decision, not an accident
    """The gateway cannot serve with what it was given, and ends."""

    exit_code: ClassVar[int] = 1


class MemoryPlanRefusal(StartUpRefusal):
    """The plan needs more than the machine allows; the message has both numbers and what would fit."""

    exit_code = 17


class ModelUnloadableError(StartUpRefusal):
    """The engine could not load the model; the message says what it said."""

    exit_code = 24


class EngineRefusal(StartUpRefusal):
    """No engine can serve with these settings on this machine; the message says what was looked for."""

    exit_code = 25
