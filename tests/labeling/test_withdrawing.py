"""An item that nobody can label does not hold up its session."""

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import Item, ItemStage, Seat, Submission, SubmissionState
from apps.labeling.selectors.sessions import figures_of, stages_of_items
from apps.labeling.services.claiming import seats_claim
from apps.labeling.services.piloting import pilots_decide
from apps.labeling.services.reopening import last_label_undo
from apps.labeling.services.settling import session_settle
from apps.labeling.services.withdrawing import item_withdraw
from apps.labeling.services.working import item_skip
from tests.labeling.worlds import label_next, label_one, labelers, make_session, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(project):
    return labelers(project, 2)


def test_an_item_that_everybody_skipped_is_set_aside_and_the_session_is_finished(
    project, people, two, client_of
):
    session = make_session(
        project, people.lea, people=two, rows=2, overlap=2, order="given", is_pilot=True, gate_minimum=0.5
    )
    for user in two:
        (lease,) = seats_claim(session=session, user=user, wanted=1)
        item_skip(session=session, user=user, item_id=lease.item_id, reason="Not a ticket")
        label_one(session, user)
    session_settle(session=session)
    assert pilots_decide() == 0
    skipped = Item.objects.get(session=session, position=1)
    slugs = [project.workspace.slug, project.slug]
    lea = client_of(people.lea)
    assert (
        "Set the item aside" in lea.get(reverse("labeling:item", args=[*slugs, skipped.pk])).content.decode()
    )

    sent = lea.post(reverse("labeling:withdraw", args=[*slugs, skipped.pk]), {"note": "Not a ticket."})

    assert sent.status_code == 302
    session.refresh_from_db()
    figures = figures_of(session)
    assert (figures.done, figures.wanted, figures.complete_items) == (2, 2, 2)
    stages = stages_of_items(session)
    assert (stages["set_aside"], stages["labeling"]) == (1, 0)
    assert [label_next(session, user) for user in two] == [None, None]
    assert pilots_decide() == 1
    assert AuditEvent.objects.filter(action="labeling_session.all_labeled").exists()
    assert (
        "Set the item aside"
        not in lea.get(reverse("labeling:item", args=[*slugs, skipped.pk])).content.decode()
    )


def test_labels_stay_and_one_that_is_being_made_comes_as_surplus(project, people, two):
    session = make_session(project, people.lea, people=two, rows=1, overlap=2)
    (lease,) = seats_claim(session=session, user=two[1], wanted=1)
    label_one(session, two[0])
    last_label_undo(session=session, user=two[0])
    submit(session, two[0], seats_claim(session=session, user=two[0], wanted=1)[0])
    item = Item.objects.get(session=session)

    item_withdraw(item=item, by=people.lea, note="A test row")

    assert submit(session, two[1], lease).state == SubmissionState.SURPLUS
    states = Submission.objects.filter(item=item).order_by("pk").values_list("state", flat=True)
    assert list(states) == ["undone", "counts", "surplus"]
    item.refresh_from_db()
    assert (item.stage, item.done, item.wanted) == (ItemStage.SET_ASIDE, 1, 1)
    assert Seat.objects.filter(item=item).count() == 1


def test_a_label_that_was_taken_back_does_not_keep_the_item(project, people, two):
    session = make_session(project, people.lea, people=two, rows=1)
    label_one(session, two[0])
    last_label_undo(session=session, user=two[0])
    item = Item.objects.get(session=session)

    item_withdraw(item=item, by=people.lea, note="A test row")

    assert Submission.objects.get(item=item).state == SubmissionState.UNDONE
    assert not Seat.objects.filter(item=item).exists()


def test_only_what_waits_for_labels_is_withdrawn_and_with_a_reason(project, people, two):
    session = make_session(project, people.lea, people=two, rows=1)
    item = Item.objects.get(session=session)
    with pytest.raises(PortalError, match="note"):
        item_withdraw(item=item, by=people.lea, note="  ")
    label_one(session, two[0])
    with pytest.raises(ConflictError, match="does not wait for labels"):
        item_withdraw(item=item, by=people.lea, note="Too late")
