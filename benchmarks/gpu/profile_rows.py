"""Which rows of profiles/README.md the figures bear on, said with the figures."""

from collections.abc import Mapping, Sequence

from benchmarks.gpu.rounds import Row
from benchmarks.gpu.workload import PRECISIONS


def advice(rows: Sequence[Row]) -> list[str]:
    """One sentence for each row of the table that the engine's own figures confirm or contradict."""
    speeds = {
        (str(row["precision"]), int(str(row["streams"]))): float(str(row["tokens_per_s"]))
        for row in rows
        if row["contender"] == "engine" and row["streams"]
    }
    return [
        *_quantization(speeds),
        *_streams(speeds),
        "Measured: the table gets a column for gpu_accelerated (first token, load, one stream, most streams, memory).",
    ]


def _quantization(speeds: Mapping[tuple[str, int], float]) -> list[str]:
    sentences = []
    for streams in sorted({streams for _, streams in speeds}):
        of_each = {name: speeds[name, streams] for name in PRECISIONS if (name, streams) in speeds}
        if len(of_each) > 1:
            fastest = max(of_each, key=of_each.__getitem__)
            said = ", ".join(f"{name} {speed:.0f}" for name, speed in of_each.items())
            stands = "stands" if fastest == "bfloat16" else "is then a choice of precision over speed"
            sentences.append(f"QUANTIZATION: at {streams} streams {said} tokens/s; the default `none` {stands}.")
    return sentences


def _streams(speeds: Mapping[tuple[str, int], float]) -> list[str]:
    counts = sorted(streams for name, streams in speeds if name == "bfloat16")
    if len(counts) < 2:
        return []
    before, most = counts[-2:]
    gain = speeds["bfloat16", most] / speeds["bfloat16", before]
    verdict = "worth it" if gain > 1 else "no gain"
    return [f"MAX_NUM_SEQS: going from {before} to {most} streams makes {gain:.2f} times the tokens/s: {verdict}."]
