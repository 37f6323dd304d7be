"""What is measured of each server: the cells of the comparison, their units, and which direction is better."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of each contender in each round."""

    key: str
    title: str
    unit: str
    higher_is_better: bool


CELLS = (
    Cell("start_up", "start to first correct answer", "s", False),
    Cell("ttft_32", "TTFT, 32 tokens", "ms", False),
    Cell("ttft_512", "TTFT, 512 tokens", "ms", False),
    Cell("ttft_2048", "TTFT, 2,048 tokens", "ms", False),
    Cell("ttft_repeated_2048", "TTFT, 2,048 tokens repeated", "ms", False),
    Cell("tokens_1", "1 stream", "tokens/s", True),
    Cell("tokens_4", "4 streams", "tokens/s", True),
    Cell("tokens_8", "8 streams", "tokens/s", True),
    Cell("tokens_16", "16 streams", "tokens/s", True),
    Cell("tokens_32", "32 streams", "tokens/s", True),
    Cell("itl_p50", "ITL p50 while prompts arrive", "ms", False),
    Cell("itl_p99", "ITL p99 while prompts arrive", "ms", False),
    Cell("arriving_ttft", "TTFT of the arriving prompts", "ms", False),
    Cell("peak_memory", "peak memory", "MiB", False),
)
