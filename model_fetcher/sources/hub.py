"""A repository on a Hugging Face hub: which commit a revision means, which files it has, and their bytes.

Metadata, addresses, headers, HTTP client and error classes are huggingface_hub's own. The bytes are not: see
`range_download`.
"""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
from huggingface_hub import (
    HfApi,
    constants,
    get_session,
    get_token,
    hf_hub_url,
    hf_raise_for_status,
    set_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from huggingface_hub.utils import build_hf_headers

from model_fetcher.errors import HubUnreachableError, SettingError
from model_fetcher.settings import Settings
from model_fetcher.sources.base import Listing, OnBytes, SourceFile
from model_fetcher.sources.hub_errors import explain, is_passing, wait_asked_for
from model_fetcher.sources.range_download import Patience, download

_PLAN_ATTEMPTS = 4
"""Metadata is a few kilobytes: if four attempts over seven seconds bring nothing, the hub is not there."""
_CONNECT_TIMEOUT_S = 10.0
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
"""It becomes a folder's name, so what a hub that is none may answer is not taken as it comes."""
_Answer = TypeVar("_Answer")


class HubSource:
    """One repository at one revision."""

    def __init__(self, settings: Settings, revision: str | None = None) -> None:
        self._repository, _, named_revision = settings.model_name.partition("@")
        self._revision = revision or named_revision or "main"
        self._commit = revision
        self._offline = settings.hf_hub_offline
        self._endpoint = settings.hf_endpoint
        self._patience = Patience(attempts=settings.download_retries, stall_timeout_s=settings.stall_timeout_s)
        set_client_factory(_client)
        # Asked for a user agent with telemetry, the library makes a request of its own to find out who runs it.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        self._token = settings.hf_token.get_secret_value() if settings.hf_token else get_token()
        self._headers = {**build_hf_headers(token=self._token or False), "Accept-Encoding": "identity"}
        self._timeout = httpx.Timeout(settings.stall_timeout_s, connect=_CONNECT_TIMEOUT_S)

    def resolve(self) -> Listing:
        """Ask the hub for the commit and its files.

        Raises:
            FetchError: one of the sentences that `hub_errors.explain` finds.
        """
        info = self._patiently(self._model_info)
        if info.sha is None:
            raise HubUnreachableError(f"{self._endpoint} answered without a commit, so it is no Hugging Face hub")
        if not _COMMIT.fullmatch(info.sha):
            raise HubUnreachableError(f"{self._endpoint} answered with {info.sha!r}, which is no commit")
        self._commit = info.sha
        return Listing(
            origin=f"{self._endpoint}/{self._repository}",
            commit=info.sha,
            licence=_licence(info),
            files=tuple(self._described(sibling) for sibling in info.siblings or ()),
        )

    def read_text(self, path: str) -> str:
        def read() -> str:
            response = get_session().get(self._address(path), headers=self._headers, timeout=self._timeout)
            hf_raise_for_status(response)
            return response.text

        return self._patiently(read)

    def fetch(self, file: SourceFile, partial: Path, on_bytes: OnBytes) -> None:
        """Download, going on from what `partial` holds.

        Raises:
            FetchError: the hub refuses, or nothing new came within all attempts.
        """
        self._refuse_offline()
        try:
            download(self._address(file.path), self._headers, file.size_bytes, partial, self._patience, on_bytes)
        except (httpx.HTTPError, HfHubHTTPError) as error:
            raise explain(error, self._repository, self._revision, self._endpoint, self._token) from error

    def folder(self) -> None:
        return None

    def _model_info(self) -> ModelInfo:
        timeout_s = self._patience.stall_timeout_s
        return HfApi(endpoint=self._endpoint, token=self._token or False).model_info(
            self._repository, revision=self._revision, files_metadata=True, timeout=timeout_s
        )

    def _described(self, sibling: RepoSibling) -> SourceFile:
        if sibling.lfs is not None:
            return SourceFile(path=sibling.rfilename, size_bytes=sibling.lfs.size, sha256=sibling.lfs.sha256)
        if sibling.size is None or sibling.blob_id is None:
            raise HubUnreachableError(
                f"{self._endpoint} lists {sibling.rfilename} without its size or hash, so nothing that it sends could "
                "be checked",
                "set HF_ENDPOINT to a hub or mirror that answers `?blobs=true` as https://huggingface.co does",
            )
        return SourceFile(path=sibling.rfilename, size_bytes=sibling.size, git_sha1=sibling.blob_id)

    def _address(self, path: str) -> str:
        return hf_hub_url(self._repository, path, revision=self._commit, endpoint=self._endpoint)

    def _patiently(self, ask: Callable[[], _Answer]) -> _Answer:
        """Repeat a small request through passing faults."""
        self._refuse_offline()
        for attempt in range(_PLAN_ATTEMPTS):
            try:
                return ask()
            except HFValidationError as error:
                raise SettingError(f"MODEL_NAME is {self._repository!r}, which is no name for a repository") from error
            except (httpx.HTTPError, HfHubHTTPError, OfflineModeIsEnabled, json.JSONDecodeError) as error:
                if attempt + 1 == _PLAN_ATTEMPTS or not is_passing(error):
                    raise explain(error, self._repository, self._revision, self._endpoint, self._token) from error
                time.sleep(wait_asked_for(error) or 2.0**attempt)
        raise AssertionError("the loop returns or raises")

    def _refuse_offline(self) -> None:
        if self._offline:
            raise HubUnreachableError(
                f"{self._repository} is not whole on the volume, and HF_HUB_OFFLINE forbids fetching it",
                "unset HF_HUB_OFFLINE, or import a bundle with `python -m model_fetcher import FILE`",
            )


def _client() -> httpx.Client:
    """The library's client without its request hook: whether going online is allowed was decided above.

    Redirects are followed; httpx drops the Authorization header when one leads to another host.
    """
    return httpx.Client(follow_redirects=True)


def _licence(info: ModelInfo) -> str | None:
    card = info.card_data
    named = card.get("license_name") or card.get("license") if card else None
    if named is None:
        named = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), None)
    return ", ".join(named) if isinstance(named, list) else named
