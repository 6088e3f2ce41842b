"""Guidelines: reading, writing, what changed between versions."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.word_difference import word_difference
from apps.labeling.forms_texts import GuidelineForm, examples_as_lines
from apps.labeling.markdown import markdown_html
from apps.labeling.models import Guideline, GuidelineVersion
from apps.labeling.services.guidelines import StaleGuidelineError, guideline_create, guideline_save
from apps.labeling.views.sessions import label_crumbs
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def create(request: ProjectRequest) -> HttpResponse:
    form = GuidelineForm(request.POST or None, is_new=True)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(
                guideline_create(
                    project=request.project,
                    name=form.cleaned_data["name"],
                    content=form.content(),
                    actor=request.user,
                )
            )
        except PortalError as error:
            form.add_error(None, error.message)
    context = {"form": form, "breadcrumbs": label_crumbs(request, ("New guideline", ""))}
    return render(request, "labeling/guideline_form.html", context, status=422 if form.errors else 200)


@project_view(Permission.VIEW)
def guideline(request: ProjectRequest, pk: int) -> HttpResponse:
    """The newest version, and the history."""
    found = get_guideline(request, pk)
    return _version_page(request, found, found.versions.select_related("created_by")[:1].get())


@project_view(Permission.VIEW)
def version(request: ProjectRequest, pk: int, number: int) -> HttpResponse:
    found = get_guideline(request, pk)
    return _version_page(request, found, _numbered(found, number))


def _version_page(request: ProjectRequest, found: Guideline, shown: GuidelineVersion) -> HttpResponse:
    versions = list(found.versions.select_related("created_by"))
    before = next((one for one in versions if one.number < shown.number), None)
    compared = request.GET.get("against", "")
    against = next((one for one in versions if str(one.number) == compared), before)
    differs = "against" in request.GET and against is not None
    context: dict[str, Any] = {
        "guideline": found,
        "version": shown,
        "versions": versions,
        "newest": versions[0],
        "html": markdown_html(shown.text),
        "against": against,
        "differences": word_difference(_whole(against), _whole(shown)) if differs and against else None,
        "sessions": found.sessions.filter(project=request.project)
        if request.membership.allows(Permission.REVIEW)
        else [],
        "breadcrumbs": label_crumbs(request, (found.name, "")),
    }
    return render(request, "labeling/guideline.html", context)


def _whole(version: GuidelineVersion) -> str:
    return f"{version.text}\n\n{examples_as_lines(version.examples)}".strip()


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def edit(request: ProjectRequest, pk: int) -> HttpResponse:
    """A new version. If somebody else saved one meanwhile, both stand side by side, and nothing is lost."""
    found = get_guideline(request, pk)
    newest = found.versions.select_related("created_by")[:1].get()
    initial = {
        "text": newest.text,
        "examples": examples_as_lines(newest.examples),
        "based_on": newest.number,
        "change": "wording",
    }
    form = GuidelineForm(request.POST or None, is_new=False, initial=initial)
    context: dict[str, Any] = {"guideline": found, "newest": newest}
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                return redirect(
                    guideline_save(
                        guideline=found,
                        based_on=form.cleaned_data["based_on"],
                        change=form.cleaned_data["change"],
                        content=form.content(),
                        actor=request.user,
                    )
                )
            except StaleGuidelineError as error:
                status = 409
                form, more = _merging(form, error)
                context |= more
            except PortalError as error:
                form.add_error(None, error.message)
    crumbs = label_crumbs(request, (found.name, found.get_absolute_url()), ("Change", ""))
    context |= {"form": form, "breadcrumbs": crumbs}
    return render(request, "labeling/guideline_form.html", context, status=status)


def _merging(sent: GuidelineForm, error: StaleGuidelineError) -> tuple[GuidelineForm, dict[str, Any]]:
    """The person's text again, now based on the other's version, with what the two differ in."""
    theirs = error.newest
    again = GuidelineForm(
        is_new=False,
        initial={**{name: sent.data.get(name, "") for name in sent.fields}, "based_on": theirs.number},
    )
    mine = f"{sent.cleaned_data['text']}\n\n{examples_as_lines(sent.cleaned_data['examples'])}".strip()
    return again, {
        "stale": error.message,
        "theirs": theirs,
        "theirs_whole": _whole(theirs),
        "differences": word_difference(_whole(theirs), mine),
    }


def get_guideline(request: ProjectRequest, pk: int) -> Guideline:
    found = get_object_or_404(Guideline, project=request.project, pk=pk)
    found.project = request.project
    return found


def _numbered(found: Guideline, number: int) -> GuidelineVersion:
    version = found.versions.select_related("created_by").filter(number=number).first()
    if version is None:
        raise Http404("No such version")
    version.guideline = found
    return version
