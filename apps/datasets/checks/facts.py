"""What the checks read: the facts of all rows (`row_facts`), as columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.datasets.checks.columns import Signatures


@dataclass(slots=True)
class Facts:
    """The facts of all rows that are checked, as columns. A row's place in them is what results speak of."""

    ids: NDArray[np.int64]
    content: Sequence[str]
    """Content hash of each row: what keys of findings are made of."""
    whole: NDArray[np.int64]
    system: NDArray[np.int64]
    asked: NDArray[np.int64]
    answer: NDArray[np.int64]
    rejected: NDArray[np.int64]
    opening: NDArray[np.int64]
    conversation: NDArray[np.int64]
    answer_texts: Sequence[str]
    asked_characters: NDArray[np.int64]
    answer_characters: NDArray[np.int64]
    languages: Sequence[str]
    personal: Sequence[list[str]]
    problems: Sequence[list[str]]
    tokens: Sequence[int | None]
    answer_tokens: Sequence[int | None]
    splits: Sequence[str]
    """Empty: the row is in no split yet."""
    groups: Sequence[str]
    word_signatures: Signatures
    character_signatures: Signatures

    def __len__(self) -> int:
        return len(self.ids)
