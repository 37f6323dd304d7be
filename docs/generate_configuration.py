"""Writes `.env.example` and `docs/configuration.md` from the settings: `python -m docs.generate_configuration`.

With `--check` it writes nothing, names what is stale, and fails. It decides how the two files look, not what they say.
"""

import sys
from pathlib import Path

from docs.known_settings import Group, Setting, groups

ROOT = Path(__file__).parents[1]
LIVE = ("MODEL_NAME", "PERFORMANCE_PROFILE", "GATEWAY_PORT", "BIND_ADDRESS", "MEMORY_LIMIT")

_ENV_HEADER = "# cp .env.example .env, edit, then `docker compose up --wait` or `make run`."
_ENV_RULE = f"""
# {"-" * 118}
# Nothing below this line needs to be changed. Each line shows its default, which a profile may replace; an empty value
# counts as unset. docs/configuration.md is the same list as a table, with what the profiles say.
"""
_MARKDOWN_HEADER = """# Configuration

Every setting is an environment variable, and `.env` is where to put it. Nothing needs to be set: the defaults serve the
demo model on 127.0.0.1:8085.

What is set in the environment or `.env` wins over the profile (`profiles/<PERFORMANCE_PROFILE>.env`), which wins over
the default. An empty value means unset. A value that cannot be used ends the service with exit code 2 and a sentence
that names it. `COMPOSE_PROFILES` is Docker Compose's own and has nothing to do with these profiles.

<!-- Written by `make docs` from the settings classes; edit those. -->
"""


def example() -> str:
    """Make `.env.example`: the live lines, a rule, and everything else commented out."""
    everything = {setting.name: setting for group in groups() for setting in group.settings}
    live = "\n".join(_example_entry(everything[name], live=True) for name in LIVE)
    return "\n".join([_ENV_HEADER, "", live, _ENV_RULE, *map(_example_group, groups())]).rstrip() + "\n"


def _example_group(group: Group) -> str:
    entries = [_example_entry(setting, live=False) for setting in group.settings if setting.name not in LIVE]
    return "\n".join([f"# --- {group.title} ---", "", *entries])


def _example_entry(setting: Setting, *, live: bool) -> str:
    choices = f" ({', '.join(setting.choices)})" if setting.choices and not live else ""
    value = "" if " " in setting.default else setting.default
    return f"# {setting.sentence}{choices}\n{'' if live else '#'}{setting.name}={value}\n"


def table() -> str:
    """Make `docs/configuration.md`."""
    return "\n".join([_MARKDOWN_HEADER, *map(_table_group, groups())]).rstrip() + "\n"


def _table_group(group: Group) -> str:
    head = [f"## {group.title}", "", group.introduction, "", "| Variable | Default | Meaning |", "|---|---|---|"]
    return "\n".join([*head, *map(_row, group.settings), ""])


def _row(setting: Setting) -> str:
    default = setting.default if " " in setting.default else f"`{setting.default}`" if setting.default else "unset"
    others = "".join(f"<br>{name}: `{value}`" for name, value in setting.in_profiles.items())
    choices = " One of " + ", ".join(f"`{choice}`" for choice in setting.choices) + "." if setting.choices else ""
    return f"| `{setting.name}` | {default}{others} | {setting.sentence}{choices} |"


def main(arguments: list[str]) -> int:
    """Write both files, or with --check say which are stale; returns the exit code."""
    made = {ROOT / ".env.example": example(), ROOT / "docs" / "configuration.md": table()}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what the settings say; run `make docs`\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
