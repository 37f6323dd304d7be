"""Named API keys: read once, kept as hashes, compared in constant time. No key is ever in a log line or an error."""

import hmac
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from llm_gateway.settings import Settings, SettingsError

SHORTEST_KEY: Final = 16
"""Characters. Random ones of the usual alphabets then have 80 bits or more, which nobody guesses over a network."""

_NAMED: Final = re.compile(r"([A-Za-z0-9_.-]{1,64})=(?=.*[^=])(.+)")
"""`name=key`; the signs of equality at the end of a key in base64 are no separators."""
_KEY: Final = re.compile(rf"[\x21-\x2b\x2d-\x7e]{{{SHORTEST_KEY},512}}")
_HOW_TO: Final = "`python3 -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one"


class KeyRing:
    """The keys that open the gateway; an empty one means that it has none."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys` are the keys by their names."""
        self._salt = secrets.token_bytes(32)
        self._digests = {name: self._digest(key) for name, key in keys.items()}

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return f"KeyRing(names={list(self._digests)})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._digests)

    def name_of(self, offered: str) -> str | None:
        """Whose key this is, or None. How long it takes tells nothing of the keys: each is compared, and whole."""
        digest = self._digest(offered)
        found = None
        for name, known in self._digests.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._salt, key.encode(errors="backslashreplace"), "sha256")


def load_keys(settings: Settings) -> KeyRing:
    """Read API_KEY and API_KEY_FILE; either may hold several keys, with or without names.

    Raises:
        SettingsError: a key cannot be used, or the file cannot be read; the sentence has no part of any key.
    """
    keys: dict[str, str] = {}
    for where, entry in _entries(settings):
        name, key = _parse(where, entry, default_name=f"key-{len(keys) + 1}")
        if name in keys:
            raise SettingsError(f"{where} has the name {name!r} a second time; give each key a name of its own")
        if key in keys.values():
            raise SettingsError(f"{where} is the same key as one before it; remove it, or make another: {_HOW_TO}")
        keys[name] = key
    return KeyRing(keys)


def _entries(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield every entry with the words that name it in an error."""
    if settings.api_key is not None:
        listed = settings.api_key.get_secret_value().split(",")
        yield from _numbered("API_KEY, entry {}", listed)
    if settings.api_key_file is not None:
        lines = [line for line in _read(settings.api_key_file).splitlines() if not line.lstrip().startswith("#")]
        found = list(_numbered(f"API_KEY_FILE {settings.api_key_file}, key {{}}", lines))
        if not found:
            raise SettingsError(
                f"API_KEY_FILE is {str(settings.api_key_file)!r}, which holds no key; write one to a line: {_HOW_TO}"
            )
        yield from found


def _numbered(form: str, entries: list[str]) -> Iterator[tuple[str, str]]:
    written = (entry.strip() for entry in entries if entry.strip())
    return ((form.format(number), entry) for number, entry in enumerate(written, start=1))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SettingsError(
            f"API_KEY_FILE is {str(path)!r}, which cannot be read ({reason}); the gateway's user "
            "must be able to, which in its container is 10001 (chmod 644, or chown 10001)"
        ) from None  # the text that could not be read would be in the traceback


def _parse(where: str, entry: str, default_name: str) -> tuple[str, str]:
    named = _NAMED.fullmatch(entry)
    name, key = (named[1], named[2]) if named else (default_name, entry)
    if not _KEY.fullmatch(key):
        raise SettingsError(
            f"{where} has {len(key)} characters, expected {SHORTEST_KEY} to 512 printable ones without blanks and "
            f"commas, and before them a name and = if you like; {_HOW_TO}"
        )
    return name, key
