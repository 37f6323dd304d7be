"""How models are described where numbers become words."""

import pytest

from llm_gateway.api.ollama.model_views import parameter_size


@pytest.mark.parametrize(
    ("num_parameters", "size"),
    [(900, "1K"), (35_000, "35K"), (3_476_224, "3.5M"), (596_049_920, "596M"), (8_030_261_248, "8.0B")],
)
def test_sizes_are_short(num_parameters: int, size: str) -> None:
    assert parameter_size(num_parameters) == size
