"""Declaring the form of a project's answers: what checks and evaluations read them by."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.projects.models import Project
from apps.scoring.answers import Form, form_to_dict


def answer_form_declare(*, project: Project, form: Form | None, by: User) -> None:
    """None: proposed from the data again. Suites that are frozen keep the form that they were frozen with."""
    with transaction.atomic():
        locked = Project.objects.select_for_update().get(pk=project.pk)
        before: Any = locked.answer_form
        locked.answer_form = None if form is None else form_to_dict(form)
        if locked.answer_form == before:
            return
        locked.save(update_fields=["answer_form", "updated_at"])
        record(
            workspace=locked.workspace,
            actor=by,
            action="project.answer_form_declared",
            target=locked,
            before={"answer_form": before},
            after={"answer_form": locked.answer_form},
        )
