"""What every test can rely on: no setting of the person who runs the tests reaches a test."""

from collections.abc import Iterator

import pytest

from docs.known_settings import COMPOSE_ONLY, groups


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Unset every setting of the two services; what only Docker's build reads stays, since the builds need it."""
    with pytest.MonkeyPatch.context() as patch:
        for setting in (setting for group in groups() for setting in group.settings):
            if setting not in COMPOSE_ONLY:
                patch.delenv(setting.name, raising=False)
        yield
