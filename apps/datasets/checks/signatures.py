"""MinHash signatures: 126 bytes that say how similar two texts are, without the texts.

The least hash of each of 126 permutations, of which only the low 8 bits are kept (Li and König, "b-bit minwise
hashing", 2010): a quarter of the room, and by chance one byte in 256 agrees that should not, which only costs a look
more, as every proposed pair is verified.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.datasets.checks.shingles import CHARACTERS_BELOW, WORDS_FROM

PERMUTATIONS = 126
SEED = 20_260_101
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_2 = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(31)


@lru_cache(maxsize=50_000)
def word_hash(word: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread over all 64 bits (the finish of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_2
    return np.asarray(values ^ (values >> _SHIFT), dtype=np.uint64)


def word_signatures(texts: Sequence[list[str]]) -> list[bytes]:
    """A signature for each list of words, by words and pairs of neighbours; empty for those that are too short."""
    fitting = [words for words in texts if len(words) >= WORDS_FROM]
    hashes = np.array([word_hash(word) for words in fitting for word in words], dtype=np.uint64)
    ends = np.cumsum([len(words) for words in fitting], dtype=np.int64)
    pairs = np.empty_like(hashes)
    pairs[:-1] = _mixed(hashes[:-1] * _MIX + hashes[1:])
    pairs[ends - 1] = hashes[
        ends - 1
    ]  # the last word has no neighbour: it stands twice, which changes nothing
    signed = _signed(np.stack([hashes, pairs], axis=1).ravel(), 2 * ends)
    return [next(signed) if len(words) >= WORDS_FROM else b"" for words in texts]


def character_signatures(texts: Sequence[list[str]]) -> list[bytes]:
    """A signature for each list of words, by characters; empty for those that are too long, or without a word."""
    fitting = [f" {' '.join(words)} " for words in texts if words and len(words) < CHARACTERS_BELOW]
    encoded = "".join(fitting).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(encoded, dtype=np.uint32).astype(np.uint64)
    ends = np.cumsum([len(text) for text in fitting], dtype=np.int64)
    threes = np.empty_like(codes)
    threes[:-2] = _mixed(((codes[:-2] << np.uint64(42)) | (codes[1:-1] << np.uint64(21)) | codes[2:]) * _MIX)
    threes[ends - 2] = threes[ends - 3]  # what would reach into the next text repeats the last of this one
    threes[ends - 1] = threes[ends - 3]
    signed = _signed(threes, ends)
    return [next(signed) if words and len(words) < CHARACTERS_BELOW else b"" for words in texts]


def _signed(pieces: NDArray[np.uint64], ends: NDArray[np.int64]) -> Iterator[bytes]:
    """The signatures of texts whose hashes stand one after the other, each up to its end."""
    if not len(ends):
        return
    from rensa import RMinHash

    offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends]).astype(np.uint64)
    matrix: Any = RMinHash.digest_matrix_from_flat_token_hashes(pieces, offsets, PERMUTATIONS, SEED)
    low = np.array(matrix.to_rows(), dtype=np.uint32).astype(np.uint8).tobytes()
    for start in range(0, len(low), PERMUTATIONS):
        yield low[start : start + PERMUTATIONS]


def as_matrix(signatures: Sequence[bytes]) -> NDArray[np.uint8]:
    """One row of 126 bytes for each signature, none of which may be empty."""
    return np.frombuffer(b"".join(signatures), dtype=np.uint8).reshape(-1, PERMUTATIONS)
