"""How long models go on: what a provider lists, what was noted before, and the dated list that ships. No database."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from apps.core.tones import ATTENTION, FAILED, NEUTRAL
from apps.providers.matching import closeness

SOON_DAYS = 180
_FILE = Path(__file__).with_name("end_of_life.toml")


@dataclass(frozen=True, kw_only=True)
class LifeLeft:
    """What is known of a model's end, seen from `today`. `source` says who said it."""

    today: date
    end_of_life: date | None = None
    training_ends: date | None = None
    tuned_too: bool = False
    """What was tuned on it ends with it."""
    source: str = ""

    @property
    def days(self) -> int | None:
        """Until it shuts down; 0 on the day itself, less afterwards."""
        return None if self.end_of_life is None else (self.end_of_life - self.today).days

    @property
    def is_over(self) -> bool:
        return self.end_of_life is not None and self.end_of_life <= self.today

    @property
    def is_trainable_no_more(self) -> bool:
        return self.training_ends is not None and self.training_ends < self.today

    @property
    def tone(self) -> str:
        """failed: it is over; attention: within half a year; neutral: later."""
        if self.is_over or self.is_trainable_no_more:
            return FAILED
        nearest = min(each for each in (self.end_of_life, self.training_ends) if each is not None)
        return ATTENTION if (nearest - self.today).days <= SOON_DAYS else NEUTRAL

    @property
    def short(self) -> str:
        """For a cell of a table: ends 14 Jan 2027."""
        if self.end_of_life is not None:
            return f"{'ended' if self.is_over else 'ends'} {day(self.end_of_life)}"
        assert self.training_ends is not None
        return f"trained until {day(self.training_ends)}"

    @property
    def sentences(self) -> list[str]:
        """For a warning: what ends, when, and what goes with it."""
        found = []
        if self.end_of_life is not None:
            verb = "Its provider shut it down on" if self.is_over else "Its provider shuts it down on"
            with_it = ", and what was tuned on it with it" if self.tuned_too else ""
            found.append(f"{verb} {day(self.end_of_life)}{_distance(self.end_of_life, self.today)}{with_it}.")
        if self.training_ends is not None:
            took = (
                "took its last training jobs"
                if self.is_trainable_no_more
                else "takes no new training jobs after"
            )
            where = " on " if self.is_trainable_no_more else " "
            found.append(
                f"Its provider {took}{where}{day(self.training_ends)}{_distance(self.training_ends, self.today)}."
            )
        return found

    @property
    def sentence(self) -> str:
        return " ".join(self.sentences)


def day(value: date) -> str:
    return f"{value.day} {value:%b %Y}"


def _distance(value: date, today: date) -> str:
    days = (value - today).days
    if days == 0:
        return ", today"
    if days < 0:
        return ""
    return f", in {days} day{'s' if days != 1 else ''}"


def life_of(
    *,
    provider: str,
    model: str,
    today: date,
    hosts: Iterable[str] = (),
    listed: date | None = None,
    noted: date | None = None,
) -> LifeLeft | None:
    """What is known of the end of a provider's model; None: nothing.

    `listed` is what the provider's own listing says now, `noted` what it said when the model was added.
    """
    shipped = _shipped_end(provider, model, hosts)
    training = _training_end(provider, hosts)
    ends, source = next(
        (
            (ends, source)
            for ends, source in (
                (listed, "the provider's listing"),
                (noted, "the provider's listing when it was added"),
                (shipped["day"] if shipped else None, shipped["source"] if shipped else ""),
            )
            if ends is not None
        ),
        (None, training["source"] if training else ""),
    )
    if ends is None and training is None:
        return None
    return LifeLeft(
        today=today,
        end_of_life=ends,
        training_ends=training["last_day"] if training else None,
        tuned_too=bool(shipped and shipped["tuned_too"]),
        source=source,
    )


def named_ends(*, provider: str) -> list[str]:
    """The models of a provider that the shipped list names in full."""
    return [
        end["model"]
        for each in _shipped()["models"]
        if each["provider"] == provider
        for end in each["ends"]
        if not end["model"].endswith("*")
    ]


def _shipped_end(provider: str, model: str, hosts: Iterable[str]) -> dict[str, Any] | None:
    fitting = [
        (
            closeness(end["model"], model),
            {**end, "source": each["source"], "tuned_too": each.get("tuned_too", False)},
        )
        for each in _shipped()["models"]
        if _is_for(each, provider, hosts)
        for end in each["ends"]
    ]
    best = max(fitting, key=lambda found: found[0], default=None)
    return best[1] if best is not None and best[0] else None


def _training_end(provider: str, hosts: Iterable[str]) -> dict[str, Any] | None:
    return next((each for each in _shipped()["training"] if _is_for(each, provider, hosts)), None)


def _is_for(entry: dict[str, Any], provider: str, hosts: Iterable[str]) -> bool:
    return bool(entry["provider"] == provider and ("host" not in entry or entry["host"] in hosts))


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
