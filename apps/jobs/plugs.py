"""What apps above this one plug in at start-up, so that the page of a job can say how its model was judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.jobs.models import TrainingJob


@dataclass(frozen=True, kw_only=True)
class RecordedAnswers:
    """What a tuned model said to held-out items, as far as it is recorded."""

    items_name: str
    answers: int
    items: int
    is_complete: bool
    is_working: bool
    trained_on: int
    """Items that the model learned from: on those it looks better than it is."""
    compare_url: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A comparison of a newer model with the recorded answers."""

    name: str
    url: str
    sentence: str
    """The verdict; empty before there is one."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    recorded: Sequence[RecordedAnswers]
    judgements: Sequence[Judgement]
    record_url: str
    upload_url: str


EvidenceSource = Callable[["TrainingJob"], Evidence]
_sources: list[EvidenceSource] = []


def plug_in_evidence(source: EvidenceSource) -> None:
    """`source` gets a job that left a model."""
    if source not in _sources:
        _sources.append(source)


def evidence_of(job: "TrainingJob") -> Evidence | None:
    """None where nothing judges models."""
    return next((source(job) for source in _sources), None)
