"""Guidelines go from version to version; nothing that somebody wrote is overwritten."""

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from apps.core.errors import PortalError
from apps.labeling.models import GuidelineVersion, Submission
from apps.labeling.services.guidelines import (
    GuidelineText,
    StaleGuidelineError,
    guideline_create,
    guideline_save,
)
from apps.labeling.services.reopening import look_again_confirm
from apps.labeling.services.sessions import session_close
from tests.labeling.worlds import label_one, make_session

pytestmark = pytest.mark.django_db


def url(name, project, *more):
    return reverse(f"labeling:{name}", args=[project.workspace.slug, project.slug, *more])


@pytest.fixture
def guideline(project, people):
    return guideline_create(
        project=project, name="Intents", content=GuidelineText("Refund: money back."), actor=people.lea
    )


def save(guideline, people, text, *, based_on, change="wording"):
    return guideline_save(
        guideline=guideline, based_on=based_on, change=change, content=GuidelineText(text), actor=people.lea
    )


def test_versions_count_up_and_only_meaning_begins_a_new_meaning(guideline, people):
    save(guideline, people, "Refund: money back, please.", based_on=1)
    save(guideline, people, "# Refund\n\nMoney back.", based_on=2, change="structure")
    save(guideline, people, "Refund: money back, or an exchange.", based_on=3, change="meaning")

    versions = guideline.versions.order_by("number")
    assert list(versions.values_list("number", "change", "meaning")) == [
        (1, "first", 1),
        (2, "wording", 1),
        (3, "structure", 1),
        (4, "meaning", 2),
    ]


def test_a_saved_version_never_changes(guideline):
    with pytest.raises(IntegrityError), transaction.atomic():
        GuidelineVersion.objects.filter(guideline=guideline).update(text="Something else")


def test_a_save_on_top_of_an_older_version_is_refused(guideline, people):
    save(guideline, people, "Lea's text", based_on=1)

    with pytest.raises(StaleGuidelineError, match="Lea saved version 2"):
        save(guideline, people, "My text", based_on=1)

    assert guideline.versions.count() == 2


def test_saving_the_same_text_makes_no_version(guideline, people):
    with pytest.raises(PortalError, match="Nothing was changed"):
        save(guideline, people, "Refund: money back.", based_on=1)


def test_the_page_shows_both_texts_and_loses_nothing(guideline, people, project, client_of):
    lea = client_of(people.lea)
    form = {
        "text": "My own text",
        "examples": "+ Money back! => refund | asked",
        "change": "wording",
        "based_on": "1",
    }
    save(guideline, people, "The other's text", based_on=1)

    stale = lea.post(url("edit_guideline", project, guideline.pk), form)
    page = stale.content.decode()

    assert stale.status_code == 409
    assert "My own text" in page
    assert "+ Money back! =&gt; refund | asked" in page
    assert "The other" in page
    assert "saved version 2 while you were writing" in page
    merged = lea.post(url("edit_guideline", project, guideline.pk), form | {"text": "Both", "based_on": "2"})
    assert merged.status_code == 302
    newest = guideline.versions.order_by("-number")[0]
    assert (newest.number, newest.text) == (3, "Both")
    assert newest.examples == [{"good": True, "text": "Money back!", "answer": "refund", "why": "asked"}]


def test_a_change_of_meaning_marks_older_labels_and_only_those(guideline, project, people):
    session = make_session(project, people.lea, rows=3, guideline=guideline)
    closed = make_session(project, people.lea, rows=1, guideline=guideline)
    label_one(session, people.ben)
    label_one(closed, people.ben)
    session_close(session=closed, actor=people.lea)

    save(guideline, people, "Refund: money back!", based_on=1)
    assert not Submission.objects.filter(look_again=True).exists(), "other words, the same labels"
    save(guideline, people, "Refund: goods back", based_on=2, change="meaning")
    session.refresh_from_db()
    label_one(session, people.ben)

    labels = Submission.objects.order_by("pk").values_list(
        "session", "guideline_version__number", "look_again"
    )
    assert list(labels) == [(session.pk, 1, True), (closed.pk, 1, False), (session.pk, 3, False)]


def test_the_author_confirms_or_labels_again(guideline, project, people, client_of):
    session = make_session(project, people.lea, rows=2, guideline=guideline)
    for _ in range(2):
        label_one(session, people.ben)
    save(guideline, people, "Refund: goods back", based_on=1, change="meaning")
    first, second = Submission.objects.order_by("pk")
    ben, rob = client_of(people.ben), client_of(people.rob)

    assert rob.post(url("confirm_label", project, session.pk), {"label": first.pk}).status_code == 409
    assert "Look at these again" in ben.get(url("mine", project, session.pk)).content.decode()
    ben.post(url("confirm_label", project, session.pk), {"label": first.pk})
    ben.post(url("reopen_label", project, session.pk), {"label": second.pk})
    label_one(session, people.ben, {"intent": "other"})

    assert list(Submission.objects.order_by("pk").values_list("state", "look_again")) == [
        ("counts", False),
        ("replaced", False),
        ("counts", False),
    ]
    look = Submission.objects.order_by("pk").last()
    assert look is not None
    with pytest.raises(PortalError):
        look_again_confirm(submission=look, by=people.ben)


def test_the_difference_between_versions_is_marked(guideline, project, people, client_of):
    save(guideline, people, "Refund: goods back.", based_on=1)

    page = client_of(people.vic).get(url("guideline_version", project, guideline.pk, 2), {"against": "1"})

    assert "<del>money</del><ins>goods</ins>" in page.content.decode()


def test_hostile_text_is_shown_as_text(project, people, client_of):
    hostile = "<script>alert(1)</script>"
    guideline = guideline_create(
        project=project,
        name=hostile,
        content=GuidelineText(
            hostile, [{"good": True, "text": hostile, "answer": hostile, "why": hostile}], hostile
        ),
        actor=people.lea,
    )
    session = make_session(
        project, people.lea, rows=1, guideline=guideline, name=hostile, instructions=hostile
    )
    ben, lea = client_of(people.ben), client_of(people.lea)

    for client, name, pk in (
        (lea, "guideline", guideline.pk),
        (lea, "edit_guideline", guideline.pk),
        (lea, "session", session.pk),
        (ben, "work", session.pk),
    ):
        page = client.get(url(name, project, pk)).content.decode()
        assert hostile not in page, name
