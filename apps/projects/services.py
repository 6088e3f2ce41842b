"""Making and changing projects."""

from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from apps.accounts.models import User, Workspace
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.projects.models import Project, default_base_model


@transaction.atomic
def project_create(
    *, workspace: Workspace, name: str, by: User, goal: str = "", base_model: str = ""
) -> Project:
    """A project; its address is made from the name and stays when the name changes."""
    name = name.strip()
    if not name:
        raise PortalError("A project needs a name.")
    slug = slugify(name)[:45] or "project"
    taken = set(
        Project.objects.filter(workspace=workspace, slug__startswith=slug).values_list("slug", flat=True)
    )
    number, free = 1, slug
    while free in taken:
        number += 1
        free = f"{slug}-{number}"
    try:
        with transaction.atomic():
            project = Project.objects.create(
                workspace=workspace,
                name=name,
                slug=free,
                goal=goal.strip(),
                base_model=base_model.strip() or default_base_model(),
                created_by=by,
            )
    except IntegrityError as error:
        raise ConflictError("Somebody made a project of that name just now. Reload the list.") from error
    record(workspace=workspace, actor=by, action="project.created", target=project, after=_recorded(project))
    return project


@transaction.atomic
def project_update(  # noqa: PLR0913 - one for each field of the form
    *,
    project: Project,
    name: str,
    goal: str,
    base_model: str,
    by: User,
    hourly_rate: Decimal | None = None,
    currency: str = "",
) -> Project:
    """Change the settings. `hourly_rate`: what an hour of people's time costs in `currency`; None: unknown."""
    if (hourly_rate is None) != (not currency):
        raise PortalError("A rate needs a currency, and a currency a rate.")
    locked = Project.objects.select_for_update().get(pk=project.pk)
    before = _recorded(locked)
    locked.name, locked.goal = name.strip() or locked.name, goal.strip()
    locked.base_model = base_model.strip() or default_base_model()
    locked.hourly_rate, locked.currency = hourly_rate, currency
    locked.save(update_fields=["name", "goal", "base_model", "hourly_rate", "currency", "updated_at"])
    after = _recorded(locked)
    if after != before:
        record(
            workspace=locked.workspace,
            actor=by,
            action="project.changed",
            target=locked,
            before=before,
            after=after,
        )
    return locked


@transaction.atomic
def project_archive(*, project: Project, by: User) -> None:
    """Take a finished project out of the lists. Everything in it stays, at its address; done twice: once."""
    if Project.objects.filter(pk=project.pk, archived_at=None).update(archived_at=timezone.now()):
        record(workspace=project.workspace, actor=by, action="project.archived", target=project)


@transaction.atomic
def project_restore(*, project: Project, by: User) -> None:
    """Put an archived project back into the lists; done twice: once."""
    if Project.objects.filter(pk=project.pk, archived_at__isnull=False).update(archived_at=None):
        record(workspace=project.workspace, actor=by, action="project.restored", target=project)


def _recorded(project: Project) -> dict[str, str]:
    rate = project.hourly_rate
    return {
        "name": project.name,
        "goal": project.goal,
        "base_model": project.base_model,
        "hourly_rate": "unknown" if rate is None else f"{rate:.2f} {project.currency}",
    }
