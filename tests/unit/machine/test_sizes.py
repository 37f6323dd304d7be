import pytest

from machine.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [
        ("0", 0),
        ("1024", 1024),
        ("4g", 4 << 30),
        ("512M", 512 << 20),
        ("2GiB", 2 << 30),
        ("1.5 gb", 3 << 29),
        ("8k", 8192),
    ],
)
def test_a_size_is_read_as_docker_reads_it(text: str, num_bytes: int) -> None:
    assert parse_size(text) == num_bytes


@pytest.mark.parametrize("text", ["", "lots", "4x", "-1g", "1g2m", "9" * 400, "9" * 308 + "t"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 512m or 4g"):
        parse_size(text)
