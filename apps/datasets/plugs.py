"""What apps above this one plug in at start-up, so that the checks can look at it without knowing them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.projects.models import Project


@dataclass(frozen=True, slots=True)
class HeldOutItem:
    """One question that models are judged by. `example_id`: the row of a dataset that it was made from."""

    position: int
    content_hash: str
    messages: list[dict[str, Any]]
    expected: str
    example_id: int | None


@dataclass(frozen=True)
class HeldOutSet:
    """Questions that must stay new to every model. `key` is short and stays the same."""

    key: str
    name: str
    items: Callable[[], Iterable[HeldOutItem]]


@dataclass(frozen=True)
class AnswerForm:
    """The form of a project's answers; `read` says why an answer is not in it, or "" when it is."""

    description: str
    declared: bool
    read: Callable[[str], str]


HeldOutSource = Callable[["Project"], Sequence[HeldOutSet]]
FormSource = Callable[["Project", Sequence[str]], AnswerForm | None]
_held_out: list[HeldOutSource] = []
_forms: list[FormSource] = []


def plug_in_held_out(source: HeldOutSource) -> None:
    if source not in _held_out:
        _held_out.append(source)


def plug_in_answer_form(source: FormSource) -> None:
    """`source` gets the project and some of its answers; None: any text will do."""
    if source not in _forms:
        _forms.append(source)


def held_out_of(project: "Project") -> list[HeldOutSet]:
    return [held_out for source in _held_out for held_out in source(project)]


def answer_form_of(project: "Project", answers: Sequence[str]) -> AnswerForm | None:
    for source in _forms:
        if (form := source(project, answers)) is not None:
            return form
    return None
