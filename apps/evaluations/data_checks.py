"""What the checks of training data must know of evaluations: the items of every suite, and how answers are read."""

from collections.abc import Iterator, Sequence
from functools import partial

from apps.datasets.plugs import AnswerForm, HeldOutItem, HeldOutSet
from apps.evaluations.models import Suite, SuiteItem
from apps.projects.models import Project
from apps.scoring.answers import Form, FreeText, SingleLabel, describe_form, form_from_dict, parse_answer
from apps.scoring.proposal import propose_form


def suites_of(project: Project) -> list[HeldOutSet]:
    """Every suite of the project, newest first."""
    return [
        HeldOutSet(key=str(pk), name=f"Suite “{name}”", items=partial(_items, pk))
        for pk, name in Suite.objects.filter(project=project).values_list("pk", "name")
    ]


def _items(suite_id: int) -> Iterator[HeldOutItem]:
    rows = SuiteItem.objects.filter(suite_id=suite_id).order_by("position")
    fields = ("position", "content_hash", "messages", "expected", "example_id")
    for position, content_hash, messages, expected, example_id in rows.values_list(*fields).iterator():
        yield HeldOutItem(position, content_hash, messages, expected, example_id)


def form_of(project: Project, answers: Sequence[str]) -> AnswerForm | None:
    """The declared form, or the one that nearly all answers share. Labels that nobody declared are no form: a rare
    one is as good as a frequent one."""
    if project.answer_form:
        form, declared = form_from_dict(project.answer_form), True
    else:
        form, declared = propose_form(answers).form, False
        if isinstance(form, SingleLabel):
            return None
    if isinstance(form, FreeText):
        return None
    return AnswerForm(describe_form(form), declared, partial(_why_not, form))


def _why_not(form: Form, answer: str) -> str:
    parsed = parse_answer(form, answer)
    if parsed.problems:
        return parsed.problems[0]
    return "" if parsed.format_ok else "It can be read, but is not written exactly in the form."
