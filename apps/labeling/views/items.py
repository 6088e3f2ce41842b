"""Items of a session for those who lead and review it."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.models import User
from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.labeling.forms_results import SetAsideForm
from apps.labeling.forms_texts import CommentForm
from apps.labeling.item_content import content_of
from apps.labeling.models import Flag, Item, ItemStage
from apps.labeling.selectors.sessions import (
    ITEM_FILTERS,
    flags_of,
    items_page,
    labels_visible,
    skips_of,
    threads_of,
)
from apps.labeling.services.talking import comment_add, threads_read
from apps.labeling.services.withdrawing import item_withdraw
from apps.labeling.services.working import flag_settle
from apps.labeling.views.sessions import get_session, label_crumbs
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.REVIEW)
def items(request: ProjectRequest, pk: int) -> HttpResponse:
    session = get_session(request, pk)
    wanted = request.GET.get("show", "")
    wanted = wanted if wanted in ITEM_FILTERS else ""
    context = {
        "session": session,
        "page": items_page(session, request.user, request.GET, wanted=wanted),
        "wanted": wanted,
        "choices": ITEM_FILTERS.items(),
        "breadcrumbs": label_crumbs(request, (session.name, session.get_absolute_url()), ("Items", "")),
    }
    return render_partial(request, "labeling/items.html", context, partials=("items",))


@project_view(Permission.REVIEW)
def item(request: ProjectRequest, pk: int) -> HttpResponse:
    """The row, its labels as far as this person may see them, and what people said."""
    found = get_item(request, pk)
    labels, is_blind = labels_visible(found, request.user)
    session = found.session
    comments = list(threads_of(found, request.user, is_blind=is_blind))
    threads_read(item_id=found.pk, threads_of=[one.thread_of_id for one in comments], user=request.user)
    context = {
        "session": session,
        "item": found,
        "content": content_of(found.example.payload),
        "labels": labels,
        "is_blind": is_blind,
        "comments": comments,
        "flags": flags_of(found),
        "skips": skips_of(found),
        "form": CommentForm(),
        "withdrawing": SetAsideForm() if found.stage == ItemStage.LABELING else None,
        "breadcrumbs": label_crumbs(
            request, (session.name, session.get_absolute_url()), (f"Item {found.position}", "")
        ),
    }
    return render(request, "labeling/item.html", context)


@project_view(Permission.REVIEW, methods=("POST",))
def comment(request: ProjectRequest, pk: int, user_pk: int) -> HttpResponse:
    """A line in the thread with one labeler."""
    found = get_item(request, pk)
    labeler = get_object_or_404(User, pk=user_pk, memberships__workspace=request.workspace)
    form = CommentForm(request.POST)
    if form.is_valid():
        comment_add(
            session=found.session,
            item_id=found.pk,
            thread_of=labeler,
            author=request.user,
            text=form.cleaned_data["text"],
        )
    return redirect("labeling:item", request.workspace.slug, request.project.slug, found.pk)


@project_view(Permission.REVIEW, methods=("POST",))
def settle(request: ProjectRequest, pk: int) -> HttpResponse:
    flag = get_object_or_404(
        Flag.objects.select_related("item__session__project__workspace"),
        item__session__project=request.project,
        pk=pk,
    )
    flag_settle(flag=flag, by=request.user)
    return redirect("labeling:item", request.workspace.slug, request.project.slug, flag.item_id)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def withdraw(request: ProjectRequest, pk: int) -> HttpResponse:
    """Nobody is to label it any more."""
    found = get_item(request, pk)
    item_withdraw(item=found, by=request.user, note=request.POST.get("note", ""))
    messages.success(request, "Set aside. Nobody gets this item any more.")
    return redirect("labeling:item", request.workspace.slug, request.project.slug, found.pk)


def get_item(request: ProjectRequest, pk: int) -> Item:
    """An item of the request's project, or Http404."""
    items = Item.objects.select_related("example", "session__guideline_version")
    found = get_object_or_404(items, session__project=request.project, pk=pk)
    found.session.project = request.project
    return found
