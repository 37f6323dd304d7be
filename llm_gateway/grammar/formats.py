"""Formats of JSON strings as regular expressions that match valid values only: no 31st of February.

Sources: RFC 3339 for dates, times and durations (Appendix A), RFC 9562 for UUIDs, RFC 4291 for IPv6, RFC 5321 and
RFC 1123 for e-mail addresses and host names, RFC 3986 for URIs. Each allows less than its source does, such as
addresses without quoted parts. Names have no counted length: counting letters is what an engine is slow at.
"""

_YEAR = r"(?:\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)"
_IN_CENTURY = r"(?:0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = rf"(?:\d{{2}}{_IN_CENTURY}|{_IN_CENTURY}00)"
_DAY_OF_MONTH = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
)
_DATE = rf"(?:{_YEAR}-{_DAY_OF_MONTH}|{_LEAP_YEAR}-02-29)"
_HOUR_AND_MINUTE = r"(?:[01]\d|2[0-3]):[0-5]\d"
_TIME = rf"{_HOUR_AND_MINUTE}:[0-5]\d(?:\.\d{{1,6}})?(?:Z|[+-]{_HOUR_AND_MINUTE})"
_SECONDS = r"\d{1,6}S"
_MINUTES = rf"\d{{1,6}}M(?:{_SECONDS})?"
_IN_A_DAY = rf"T(?:\d{{1,6}}H(?:{_MINUTES})?|{_MINUTES}|{_SECONDS})"
_HOST = r"(?:[a-z0-9]+(?:-[a-z0-9]+){0,2}\.){1,3}[a-z]{2,10}"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d{2}|[1-9]?\d)"
_WORD = r"[A-Za-z0-9_+-]+"


def _percent_encoded(characters: str) -> str:
    return rf"[{characters}]*(?:%[0-9A-F]{{2}}[{characters}]*)*"


def _uuid(version: str) -> str:
    return rf"[0-9a-f]{{8}}-[0-9a-f]{{4}}-{version}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}"


FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": rf"{_DATE}T{_TIME}",
    "duration": rf"P(?:\d{{1,6}}D(?:{_IN_A_DAY})?|{_IN_A_DAY}|\d{{1,6}}W)",
    "email": rf"{_WORD}(?:\.{_WORD}){{0,2}}@{_HOST}",
    "hostname": _HOST,
    "ipv4": rf"(?:{_BYTE}\.){{3}}{_BYTE}",
    "ipv6": r"(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
    "uri": rf"https?://{_HOST}(?::[1-9]\d{{0,3}})?(?:/{_percent_encoded('A-Za-z0-9._~/-')})?"
    rf"(?:\?{_percent_encoded('A-Za-z0-9._~/&=-')})?",
    "uuid": _uuid("[1-8]"),
    **{f"uuid{version}": _uuid(version) for version in "1345678"},
}
"""Format: the expression that a value of it matches from beginning to end. Other formats are annotations."""
