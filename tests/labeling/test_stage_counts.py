"""The counts of a session's page follow from counters and from what waits: they must be those of the items."""

import pytest

from apps.labeling.models import Cause, ItemStage, SubmissionState
from apps.labeling.selectors.sessions import stages_of_items
from apps.labeling.services.adjudicating import Choice, item_adjudicate, item_reopen, item_set_aside
from apps.labeling.services.reopening import label_reopen, last_label_undo
from apps.labeling.services.reviewing import label_accept, label_return
from apps.labeling.services.settling import session_settle
from tests.labeling.judging import items_of, label_all
from tests.labeling.worlds import labelers, make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(project):
    return labelers(project, 2)


def counted_one_by_one(session):
    counts = dict.fromkeys(ItemStage.values, 0)
    for item in items_of(session):
        counts[item.stage] += 1
    return counts


def test_the_counts_of_stages_are_those_of_the_items_whatever_was_done_to_them(project, people, two):
    """They follow from counters; so each thing that moves an item is done here once, and counted one by one."""
    first, second = two
    session = make_session(
        project,
        people.lea,
        rows=8,
        people=two,
        overlap=2,
        order="given",
        audit_share=0.0,
        reviews_every_label=True,
    )

    def check():
        session_settle(session=session)
        assert stages_of_items(session) == counted_one_by_one(session)

    check()
    label_all(session, {first: ["refund"] * 8, second: ["refund"] * 3 + ["other"] * 4})
    assert stages_of_items(session) == counted_one_by_one(session), "labeled, and not settled yet"
    check()
    last_label_undo(session=session, user=first)
    check()
    for item in items_of(session)[:6]:
        for label in item.submissions.filter(state="counts"):
            label_accept(submission=label, by=people.rob)
    check()
    label_return(
        submission=items_of(session)[6].submissions.filter(state="counts")[0], by=people.rob, reason="No"
    )
    check()
    item_set_aside(item=items_of(session)[4], by=people.rob, note="Broken")
    item_adjudicate(
        item=items_of(session)[5],
        by=people.rob,
        choices={"intent": Choice(value="refund")},
        cause=Cause.EDGE_CASE,
    )
    check()
    item_reopen(item=items_of(session)[4], by=people.lea)
    label_reopen(
        submission=items_of(session)[0].submissions.filter(state="counts")[0],
        to=SubmissionState.REPLACED,
    )
    check()
    counts = stages_of_items(session)
    assert (counts["resolved"], counts["adjudication"], counts["set_aside"]) == (3, 2, 0)
