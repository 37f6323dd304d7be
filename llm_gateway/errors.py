"""Everything that can go wrong for a client, or stop the gateway, as one tree.

GatewayError                    each knows its HTTP status and its one-word kind
├── InvalidRequestError         422   a field has a value that cannot be used
│   ├── PromptTooLongError      400   prompt and answer do not fit the model's context
│   └── UnsupportedError        422   nothing is wrong with it, but this model or engine cannot do it
├── BodyTooLargeError           413   the body is longer than MAX_REQUEST_BYTES
├── UnknownModelError           404   the request names a model that is not served here
├── OverloadedError             429   every place is taken; says when to come back
├── NotReadyError               503   the model is on its way; says the phase and when to come back
├── GenerationFailedError       500   the engine gave up on this request
│   └── WorkerDiedError         503   the model's process ended while it worked on this request
└── ClientLeftError             499   nobody is listening any more; logged, never sent

StartUpRefusal                  the gateway ends with `exit_code`, after one sentence in the log
├── MemoryPlanRefusal           17    the model cannot fit into what the machine allows
├── EngineRefusal               25    no engine that these settings allow can be used here
└── ModelUnloadableError        24    the engine could not load the model

A dialect turns the first kind into its own body in `api/<dialect>`; nobody else writes one.
"""

from typing import ClassVar


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


class BodyTooLargeError(GatewayError):
    """The body exceeds MAX_REQUEST_BYTES; it was not read to its end."""

    status = 413
    kind = "body_too_large"


class UnknownModelError(GatewayError):
    """The request names a model that this gateway does not serve."""

    status = 404
    kind = "model_not_found"


class OverloadedError(GatewayError):
    """Every place is taken."""

    status = 429
    kind = "overloaded"

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
