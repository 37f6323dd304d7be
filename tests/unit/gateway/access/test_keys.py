"""Which keys open the gateway, and that none of them is ever told to anybody."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_gateway.access.keys import KeyRing, load_keys
from llm_gateway.settings import Settings, SettingsError

ALICE, BOB = "alices-key-0123456789", "bobs+key/0123456789=="


def from_setting(text: str) -> KeyRing:
    return load_keys(Settings(api_key=SecretStr(text)))


def from_file(path: Path, text: str) -> KeyRing:
    path.write_text(text, encoding="utf-8")
    return load_keys(Settings(api_key_file=path))


def test_without_a_key_the_ring_is_empty() -> None:
    ring = load_keys(Settings())
    assert not ring
    assert ring.name_of("") is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ALICE, ["key-1"]),
        (BOB, ["key-1"]),
        (f"alice={ALICE},bob={BOB}", ["alice", "bob"]),
        (f" alice={ALICE} , {BOB},", ["alice", "key-2"]),
    ],
)
def test_keys_may_have_names(text: str, names: list[str]) -> None:
    ring = from_setting(text)
    assert list(ring.names) == names
    assert {ring.name_of(key) for key in (ALICE, BOB) if key in text} == set(names)


def test_a_file_has_one_key_to_a_line_and_remarks(tmp_path: Path) -> None:
    ring = from_file(tmp_path / "keys", f"# who may\n\nalice={ALICE}\r\n  {BOB}  \n")
    assert ring.names == ("alice", "key-2")
    assert (ring.name_of(ALICE), ring.name_of(BOB)) == ("alice", "key-2")


def test_both_settings_count(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"bob={BOB}", encoding="utf-8")
    ring = load_keys(Settings(api_key=SecretStr(ALICE), api_key_file=tmp_path / "keys"))
    assert ring.names == ("key-1", "bob")


@pytest.mark.parametrize("offered", ["", ALICE[:-1], ALICE + "x", ALICE.upper(), f"alice={ALICE}", "\udc80", "ä" * 20])
def test_anything_else_is_nobodys_key(offered: str) -> None:
    assert from_setting(f"alice={ALICE}").name_of(offered) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("short", "API_KEY, entry 1 has 5 characters"),
        (f"{ALICE},bob=short", "entry 2 has 5 characters"),
        (f"{ALICE} and more", "blanks"),
        (f"a={ALICE},a={BOB}", "the name 'a' a second time"),
        (f"a={ALICE},b={ALICE}", "is the same key as one before it"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_without_being_told(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        from_setting(text)
    assert not any(key in str(refused.value) for key in (ALICE, BOB, "short"))


@pytest.mark.parametrize("text", ["", "# nobody\n", "\n\n"])
def test_a_file_without_keys_does_not_mean_that_none_is_needed(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="which holds no key"):
        from_file(tmp_path / "keys", text)


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(No such file or directory\)"):
        load_keys(Settings(api_key_file=tmp_path / "absent"))
    (tmp_path / "noise").write_bytes(b"\xff" * 20)
    with pytest.raises(SettingsError, match="it is no UTF-8 text"):
        load_keys(Settings(api_key_file=tmp_path / "noise"))


def test_no_key_is_in_what_python_prints_of_them() -> None:
    settings = Settings(api_key=SecretStr(ALICE))
    printed = f"{settings!r} {settings} {settings.model_dump()} {load_keys(settings)!r}"
    assert ALICE not in printed
