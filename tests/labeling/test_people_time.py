"""People's time in sessions, and what it costs where somebody said what an hour costs."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.labeling.models import Cause, TimeSpent
from apps.labeling.selectors.spending import project_time, session_time
from apps.labeling.services.adjudicating import Choice, item_adjudicate
from apps.labeling.services.reopening import last_label_undo
from apps.labeling.services.reviewing import label_accept, label_return
from apps.labeling.services.settling import session_settle
from apps.projects.models import Project
from tests.labeling.judging import items_of, label_all
from tests.labeling.worlds import label_one, labelers, make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(project):
    return labelers(project, 2)


def seconds_of(session):
    time = session_time(session).time
    return (time.labels, time.taken_back, time.review, time.adjudication)


def test_time_of_labels_taken_back_and_of_reviews_and_adjudications_counts(project, people, two):
    """Every label of the helper takes three seconds."""
    session = make_session(project, people.lea, rows=2, people=two, overlap=2, reviews_every_label=True)
    label_one(session, two[0])
    last_label_undo(session=session, user=two[0])
    assert seconds_of(session) == (0, 3, 0, 0)

    label_all(session, {two[0]: ["refund", "other"], two[1]: ["refund", "refund"]})
    session_settle(session=session)
    first, second = items_of(session)
    returned, *others = first.submissions.filter(state="counts").order_by("pk")
    label_return(submission=returned, by=people.rob, reason="Look again", seconds=20)
    for label in second.submissions.filter(state="counts"):
        label_accept(submission=label, by=people.rob, seconds=5)
    second.refresh_from_db()
    choice = {"intent": Choice(value="refund")}
    item_adjudicate(item=second, by=people.lea, choices=choice, cause=Cause.EDGE_CASE, seconds=40)

    assert seconds_of(session) == (9, 6, 30, 40)
    assert project_time(project).total.total == 85
    assert TimeSpent.objects.get(use="review").count == 3


def test_what_was_not_measured_adds_nothing_and_an_hour_is_the_most(project, people, two):
    session = make_session(project, people.lea, rows=1, people=two, overlap=2)
    label_all(session, {two[0]: ["refund"], two[1]: ["other"]})
    session_settle(session=session)
    (item,) = items_of(session)
    settle: Any = {"item": item, "choices": {"intent": Choice(value="refund")}, "cause": Cause.EDGE_CASE}

    item_adjudicate(**settle, by=people.rob, seconds=None)
    assert seconds_of(session)[3] == 0
    item.stage = "adjudication"
    item.save()
    item_adjudicate(**settle, by=people.rob, seconds=90_000)
    assert seconds_of(session)[3] == 3600


def test_without_a_rate_the_cost_is_unknown_and_with_one_it_is_money(project, people, two, client_of):
    session = make_session(project, people.lea, rows=2, people=two)
    label_one(session, two[0])
    pages = [session.get_absolute_url(), project.get_absolute_url()]
    lea = client_of(people.lea)

    for page in pages:
        text = lea.get(page).content.decode()
        assert "unknown" in text
        assert "0.00" not in text
        assert reverse("projects:settings", args=[project.workspace.slug, project.slug]) in text

    # Three seconds at 36 an hour are 3 / 3600 * 36 = 0.03.
    settings = {
        "name": project.name,
        "base_model": project.base_model,
        "hourly_rate": "36",
        "currency": "eur",
    }
    address = reverse("projects:settings", args=[project.workspace.slug, project.slug])
    assert lea.post(address, settings).status_code == 302

    for page in pages:
        text = re.sub(r"<[^>]+>|\s+", " ", lea.get(page).content.decode())
        assert re.search(r"0\.03 +EUR", text)
    session.refresh_from_db()
    assert session_time(session).cost == Decimal("0.03")
    event = AuditEvent.objects.get(action="project.changed")
    assert (event.before or {})["hourly_rate"] == "unknown"
    assert (event.after or {})["hourly_rate"] == "36.00 EUR"


@pytest.mark.parametrize(
    ("rate", "currency"),
    [("12", ""), ("", "EUR"), ("0", "EUR"), ("-3", "EUR"), ("12", "euro"), ("12", "E1R")],
)
def test_half_a_rate_is_refused(rate, currency, project, people, client_of):
    address = reverse("projects:settings", args=[project.workspace.slug, project.slug])
    sent = {"name": project.name, "base_model": "", "hourly_rate": rate, "currency": currency}

    assert client_of(people.lea).post(address, sent).status_code == 422

    project.refresh_from_db()
    assert project.hourly_rate is None


def test_the_database_refuses_a_rate_without_a_currency_and_a_rate_of_nothing(project):
    for rate, currency in ((Decimal(5), ""), (None, "EUR"), (Decimal(0), "EUR"), (Decimal(5), "eur")):
        with pytest.raises(IntegrityError), transaction.atomic():
            Project.objects.filter(pk=project.pk).update(hourly_rate=rate, currency=currency)
