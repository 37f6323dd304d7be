"""What a failed request to the hub means for a person, and whether trying again can help.

The hub tells its refusals apart by the headers X-Error-Code and X-Error-Message and by the status: a gated model is a
401 without a token and a 403 with one; a token that lacks a permission is a 403 that does not say GatedRepo.
"""

import email.utils
import time

import httpx
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import parse_ratelimit_headers

from model_fetcher.errors import (
    FetchError,
    GatedWithoutTokenError,
    HubUnreachableError,
    TermsNotAcceptedError,
    TokenWithoutAccessError,
    UnknownModelError,
)

_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 300.0
"""A hub that asks for a longer pause is not waited for: five minutes of silence look like a hang."""


class WrongLengthError(httpx.TransportError):
    """The server sent more or fewer bytes than the file has, and said that it was done."""


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _PASSING_STATUSES
    if isinstance(error, httpx.UnsupportedProtocol) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return False
    return isinstance(error, httpx.TransportError)


def wait_asked_for(error: Exception) -> float | None:
    """How many seconds the server asked to be left alone, or None where it did not say."""
    if not isinstance(error, HfHubHTTPError):
        return None
    limits = parse_ratelimit_headers(error.response.headers)
    if error.response.status_code == 429 and limits is not None:
        return min(limits.reset_in_seconds + 1.0, LONGEST_WAIT_S)
    headers = error.response.headers
    asked = headers.get("Retry-After")
    seconds = _retry_after_s(asked, headers.get("Date")) if asked else None
    return None if seconds is None else min(seconds, LONGEST_WAIT_S)


def explain(error: Exception, repository: str, revision: str, endpoint: str, token: str | None) -> FetchError:
    """Turn a failure into one sentence with advice; the token itself is only ever tested for being there."""
    if isinstance(error, GatedRepoError):
        return _gated(error, repository, endpoint, token)
    if isinstance(error, RevisionNotFoundError):
        return UnknownModelError(f"{repository} has no revision {revision!r}", "check what follows the @ in MODEL_NAME")
    if isinstance(error, RepositoryNotFoundError):
        visible = "for this token" if token else "without a token"
        return UnknownModelError(f"there is no model {repository} at {endpoint} {visible}")
    if isinstance(error, HfHubHTTPError):
        return _refused(error, repository, endpoint, token)
    if isinstance(error, httpx.TimeoutException):
        return HubUnreachableError(f"{endpoint} did not answer in time ({type(error).__name__})")
    if isinstance(error, WrongLengthError):
        return HubUnreachableError(f"{endpoint} sends a file that is not as long as its own list says ({error})")
    return HubUnreachableError(f"{endpoint} cannot be reached ({error or type(error).__name__})")


def _gated(error: GatedRepoError, repository: str, endpoint: str, token: str | None) -> FetchError:
    page = f"{endpoint}/{repository}"
    if not token:
        return GatedWithoutTokenError(
            f"{repository} is gated and HF_TOKEN is not set",
            f"accept its terms at {page}, make a read token at {endpoint}/settings/tokens, and set HF_TOKEN in .env",
        )
    if error.response.status_code == 401:
        return _invalid_token(endpoint)
    if "awaiting" in (error.server_message or ""):
        return TermsNotAcceptedError(
            f"{repository} is gated and the request of HF_TOKEN's owner awaits the publisher's approval",
            f"watch {page}, and start again when access is granted",
        )
    return TermsNotAcceptedError(
        f"{repository} is gated and the owner of HF_TOKEN has not accepted its terms",
        f"accept them at {page}, logged in as the token's owner, and start again",
    )


def _refused(error: HfHubHTTPError, repository: str, endpoint: str, token: str | None) -> FetchError:
    status = error.response.status_code
    said = (error.response.headers.get("X-Error-Message") or error.server_message or "").splitlines()
    reason = said[0] if said else f"status {status}"
    if status == 401:
        return _invalid_token(endpoint) if token else UnknownModelError(f"{endpoint} asks for a token for {repository}")
    if status == 403:
        return TokenWithoutAccessError(
            f"HF_TOKEN may not read {repository} ({reason})",
            f"edit the token at {endpoint}/settings/tokens: a fine-grained token needs read access to this repository "
            "or to public gated repositories",
        )
    if status == 404:
        return UnknownModelError(f"{repository} lacks a file that its own list names ({reason})")
    return HubUnreachableError(f"{endpoint} answers with status {status} ({reason})")


def _invalid_token(endpoint: str) -> TokenWithoutAccessError:
    return TokenWithoutAccessError(
        "the hub does not accept HF_TOKEN (invalid or expired)", f"make a new one at {endpoint}/settings/tokens"
    )


def _retry_after_s(value: str, sent: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date, which is compared with the date on which the answer was sent.

    Both are the server's clock then, and it does not matter what this machine's says.
    """
    if value.strip().isdigit():
        return float(value)
    try:
        now_s = email.utils.parsedate_to_datetime(sent).timestamp() if sent else time.time()
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now_s)
    except ValueError:
        return None
