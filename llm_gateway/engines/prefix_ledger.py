"""How much of a prompt the engine's prefix cache has, for engines that do not say.

It keeps what the cache must hold: the same blocks, known by their tokens and all tokens before them, as many as there
is room for, the least recently used leaving first (Kwon et al., 2023, arXiv:2309.06180, section 4). It is told what
sequences left behind, and an engine's own cache may have more: the rest of a block, or a prompt that is just computed.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence


class PrefixLedger:
    """The blocks of one KV cache."""

    def __init__(self, num_blocks: int, block_tokens: int) -> None:
        self._num_blocks = num_blocks
        self._block_tokens = block_tokens
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def known_tokens(self, token_ids: Sequence[int]) -> int:
        """Count the tokens at the beginning that need no computing; the last one of a prompt always does."""
        known = 0
        for block in self._keys(token_ids[:-1]):
            if block not in self._blocks:
                break
            self._blocks.move_to_end(block)
            known += self._block_tokens
        return known

    def add(self, token_ids: Sequence[int]) -> None:
        """Note the blocks of a sequence that has ended: all tokens that were computed."""
        if not self._num_blocks:
            return
        rest = len(token_ids) % self._block_tokens
        blocks = list(self._keys(token_ids))
        if rest:  # takes a block's room, and is known to nobody
            blocks.append(hash((*blocks[-1:], tuple(token_ids[-rest:]), rest)))
        # The end of a sequence is the first that is overwritten.
        for block in reversed(blocks):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._num_blocks:
            self._blocks.popitem(last=False)

    def _keys(self, token_ids: Sequence[int]) -> Iterator[int]:
        key = 0
        for start in range(0, len(token_ids) - self._block_tokens + 1, self._block_tokens):
            key = hash((key, tuple(token_ids[start : start + self._block_tokens])))
            yield key
