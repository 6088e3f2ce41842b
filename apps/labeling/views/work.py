"""The labeling page and its calls."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from apps.core.errors import ConflictError
from apps.labeling.access import LabelerRequest, labeler_view
from apps.labeling.calls import Call, call
from apps.labeling.leases import Lease
from apps.labeling.markdown import markdown_html
from apps.labeling.models import Question
from apps.labeling.selectors.work import HeldItem, item_in_hands, look_again_of, thread_of
from apps.labeling.services.claiming import MOST_AT_ONCE, hand_out, leases_renew, stopped_by
from apps.labeling.services.reopening import last_label_undo
from apps.labeling.services.submitting import Submit, label_submit
from apps.labeling.services.talking import comment_add, threads_read
from apps.labeling.services.working import item_flag, item_skip, unsent_save


@labeler_view()
def work(request: LabelerRequest) -> HttpResponse:
    """The page; items come by `claim`, so that opening it costs nobody anything."""
    session = request.labeling
    questions = list(session.questions.all())
    context = {
        "session": session,
        "questions": [(question, markdown_html(question.help)) for question in questions],
        "config": {
            "me": request.user.pk,
            "session": session.pk,
            "urls": {name: _url(request, name) for name in CALLS},
            "comments": _url(request, "comments", 0),
            "questions": [_question_data(question) for question in questions],
            "heartbeat": max(5, session.lease_seconds // 4),
            "lease": session.lease_seconds,
            "guideline": session.guideline_version_id,
        },
        "guideline": session.guideline_version,
        "guideline_html": markdown_html(session.guideline_version.text) if session.guideline_version else "",
        "instructions_html": markdown_html(session.instructions),
        "look_again_count": look_again_of(session, request.user).count(),
    }
    return render(request, "labeling/work.html", context)


CALLS = ("claim", "submit", "save", "heartbeat", "skip", "flag", "undo")


def _url(request: LabelerRequest, name: str, *more: int) -> str:
    slugs = [request.workspace.slug, request.project.slug]
    return reverse(f"labeling:{name}", args=[*slugs, request.labeling.pk, *more])


def _question_data(question: Question) -> dict[str, Any]:
    return {
        "key": question.key,
        "kind": question.kind,
        "title": question.title,
        "required": question.required,
        "options": question.options,
    }


@call
def claim(request: Call) -> dict[str, Any]:
    """What the person holds, filled up; the content only of what the page does not have yet."""
    return _hand_out(request)


@call
def submit(request: Call) -> dict[str, Any]:
    data = request.data
    kept = label_submit(
        session=request.labeling,
        user=request.user,
        submit=Submit(
            item_id=data.integer("item"),
            token=data.uuid("token"),
            client_id=data.uuid("client_id"),
            answers=data.mapping("answers"),
            seconds=data.number("seconds"),
            guideline_version=data.integer("guideline", 0) or None,
        ),
    )
    return {"kept": {"id": kept.submission_id, "state": kept.state, "repeat": kept.is_repeat}} | _hand_out(
        request
    )


@call
def save(request: Call) -> dict[str, Any]:
    """Unfinished answers; a sign of life as well."""
    data = request.data
    is_saved = unsent_save(
        session=request.labeling,
        user=request.user,
        item_id=data.integer("item"),
        answers=data.mapping("answers"),
        seconds=data.number("seconds"),
        revision=data.integer("revision"),
    )
    if is_saved:
        leases_renew(session=request.labeling, user=request.user)
    return {"saved": is_saved}


@call
def heartbeat(request: Call) -> dict[str, Any]:
    return {"held": [lease.item_id for lease in leases_renew(session=request.labeling, user=request.user)]}


@call
def skip(request: Call) -> dict[str, Any]:
    data = request.data
    item_skip(
        session=request.labeling, user=request.user, item_id=data.integer("item"), reason=data.text("reason")
    )
    return _hand_out(request)


@call
def flag(request: Call) -> dict[str, Any]:
    item = item_in_hands(request.labeling, request.user, request.data.integer("item"))
    if item is None:
        raise ConflictError("This item is not in your hands any more.")
    item_flag(
        session=request.labeling, user=request.user, item_id=item.pk, reason=request.data.text("reason")
    )
    return {"flagged": item.pk}


@call
def undo(request: Call) -> dict[str, Any]:
    """The last label is back on the screen, before what was held already."""
    undone = last_label_undo(session=request.labeling, user=request.user)
    return {"undone": undone.item_id} | _hand_out(request)


@call
def comments(request: Call, item_pk: int) -> dict[str, Any]:
    """The person's own thread about an item in their hands, after adding to it if they wrote something."""
    session, user = request.labeling, request.user
    item = item_in_hands(session, user, item_pk)
    if item is None:
        raise ConflictError("This item is not in your hands any more.")
    if text := request.data.text("text"):
        comment_add(session=session, item_id=item.pk, thread_of=user, author=user, text=text)
    threads_read(item_id=item.pk, threads_of=[user.pk], user=user)
    lines = thread_of(item, user)
    return {
        "comments": [
            {"author": line.author.get_full_name(), "at": line.created_at.isoformat(), "text": line.text}
            for line in lines
        ]
    }


def _hand_out(request: Call) -> dict[str, Any]:
    session = request.labeling
    handed = hand_out(session=session, user=request.user, have=request.data.integers("have"))
    tally = handed.tally
    return {
        "held": [_lease_data(lease) for lease in handed.leases[:MOST_AT_ONCE]],
        "items": [_item_data(held, shows_answer=session.shows_answer) for held in handed.new],
        "tally": {"mine": tally.mine, "done": tally.done, "wanted": tally.wanted},
        "stopped_by": stopped_by(session),
        "guideline": session.guideline_version_id,
        "replies": tally.replies,
    }


def _lease_data(lease: Lease) -> dict[str, Any]:
    return {"item": lease.item_id, "token": str(lease.token), "until": lease.held_until.isoformat()}


def _item_data(held: HeldItem, *, shows_answer: bool) -> dict[str, Any]:
    content = held.content
    return {
        "id": held.item_id,
        "position": held.position,
        "context": render_to_string("labeling/_context.html", {"messages": content.context}),
        "question": content.question,
        "answer": content.answer if shows_answer else "",
        "candidates": [{"number": number, "text": text} for number, text in held.candidates],
        "unsent": held.unsent,
        "seconds": held.seconds,
        "revision": held.revision,
        "returned": held.returned_because,
        "drafted": held.drafted,
    }
