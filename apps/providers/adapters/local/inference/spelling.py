"""The text of an answer while it grows. No torch, so that it can be tested anywhere."""

from collections.abc import Callable, Sequence

HALF_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class Spelling:
    """Text of tokens that come one by one, at a cost that does not grow with the answer.

    Some tokens are only parts of a character, and some spell differently beside others: so the last few are decoded
    together again, and only what they add counts.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = 0
        self._read = 0
        self._text = ""

    def add(self, token: int) -> str:
        """The text so far, complete characters only."""
        self._ids.append(token)
        known = self._decode(self._ids[self._start : self._read])
        whole = self._decode(self._ids[self._start :])
        if len(whole) > len(known) and not whole.endswith(HALF_CHARACTER):
            self._text += whole[len(known) :]
            self._start, self._read = self._read, len(self._ids)
        return self._text


def before_stop(text: str, stops: Sequence[str]) -> int:
    """Up to where the text can be shown: its end, or where one of the stop strings may have begun."""
    held = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), held, -1):
            if text.endswith(stop[:length]):
                held = length
                break
    return len(text) - held
