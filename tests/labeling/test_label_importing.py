"""Labels of other tools on the seats of a session: matched by text, never more than wanted, bad ones named."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.core.errors import PortalError
from apps.labeling.models import (
    Item,
    ItemStage,
    LabelImport,
    LabelImportState,
    QuestionKind,
    Seat,
    Submission,
    SubmissionState,
)
from apps.labeling.selectors.agreement import agreement_of
from apps.labeling.selectors.sessions import stages_of_items
from apps.labeling.services.label_importing import label_import_create, label_import_request, label_import_run
from apps.labeling.services.sessions import QuestionWish
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from tests.labeling.worlds import label_next, labelers, make_session

pytestmark = pytest.mark.django_db(transaction=True)


def lines(*records):
    return b"\n".join(json.dumps(record).encode() for record in records)


def prodigy(text, accept, person):
    return {
        "text": text,
        "accept": [accept],
        "answer": "accept",
        "_task_hash": hash((text, person)) % 10_000,
        "_session_id": person,
    }


def work():
    while operation := Operation.objects.filter(state=OperationState.QUEUED).order_by("pk").first():
        operation_run(operation_id=operation.pk)
        operation.refresh_from_db()
        assert operation.state == OperationState.SUCCEEDED, operation.error


def brought_in(session, people, data, labelers_, questions, name="labels.jsonl"):
    read = label_import_create(session=session, data=data, file_name=name, actor=people.lea)
    label_import_request(
        label_import=read, labelers=labelers_, questions=questions, is_independent=True, actor=people.lea
    )
    work()
    read.refresh_from_db()
    assert read.state == LabelImportState.DONE
    return read


def ticket(number):
    return f"Ticket {number}: my order is late"


def test_labels_take_the_seats_of_their_items(project, people):
    two = labelers(project, 2)
    session = make_session(project, people.lea, people=two, rows=3, overlap=2)
    data = lines(
        prodigy(ticket(1), "refund", "x-ada"),
        prodigy(ticket(1), "Refund", "x-bo"),
        prodigy(ticket(2), "delivery", "x-ada"),
        prodigy(ticket(2), "nonsense", "x-bo"),
        prodigy("Never heard of", "refund", "x-bo"),
    )
    done = brought_in(session, people, data, {"x-ada": two[0].pk, "x-bo": two[1].pk}, {"accept": "intent"})
    assert (done.label_count, done.problem_count) == (3, 2)
    assert [problem[0] for problem in done.problems] == [4, 5]
    assert "not one of the labels" in done.problems[0][1]
    assert "No item" in done.problems[1][1]
    first, second, third = Item.objects.filter(session=session).order_by("position")
    assert (first.done, first.stage) == (2, ItemStage.LABELED)
    assert (second.done, third.done) == (1, 0)
    assert stages_of_items(session)["labeled"] == 1, "the figures of a session know imported labels"
    assert stages_of_items(session)["labeling"] == 2
    assert set(Submission.objects.filter(item=first).values_list("answers__value", flat=True)) == {"refund"}
    assert agreement_of(session).questions[0].agreement.answers == 3
    # Labeling goes on with what is left.
    assert label_next(session, two[1]) in (second, third)


def test_the_same_file_again_adds_nothing(project, people):
    two = labelers(project, 2)
    session = make_session(project, people.lea, people=two, rows=2, overlap=2)
    data = lines(prodigy(ticket(1), "refund", "a"))
    brought_in(session, people, data, {"a": two[0].pk}, {"accept": "intent"})
    again = brought_in(session, people, data, {"a": two[0].pk}, {"accept": "intent"})
    assert (again.label_count, again.known_count) == (0, 1)
    assert Submission.objects.filter(session=session).count() == 1


def test_more_labels_than_wanted_are_kept_as_surplus(project, people):
    three = labelers(project, 3)
    session = make_session(project, people.lea, people=three, rows=1, overlap=2)
    data = lines(*(prodigy(ticket(1), "refund", f"p{number}") for number in range(3)))
    done = brought_in(
        session,
        people,
        data,
        {f"p{number}": user.pk for number, user in enumerate(three)},
        {"accept": "intent"},
    )
    assert (done.label_count, done.surplus_count) == (2, 1)
    assert Seat.objects.filter(session=session, state="filled").count() == 2
    assert Submission.objects.filter(session=session, state=SubmissionState.SURPLUS).count() == 1


def test_texts_that_two_items_share_are_not_guessed(project, people):
    (one,) = labelers(project, 1)
    rows = [
        {"messages": [{"role": "user", "content": "Same"}, {"role": "assistant", "content": answer}]}
        for answer in ("first", "second")
    ]
    session = make_session(project, people.lea, people=[one], rows=rows)
    done = brought_in(
        session, people, lines(prodigy("Same", "refund", "a")), {"a": one.pk}, {"accept": "intent"}
    )
    assert done.label_count == 0
    assert "unclear which one" in done.problems[0][1]


def test_several_questions_of_label_studio(project, people):
    (one,) = labelers(project, 1)
    questions = [
        QuestionWish(key="stars", kind=QuestionKind.RATE, title="?", options={"low": 1, "high": 5}),
        QuestionWish(key="note", kind=QuestionKind.TEXT, title="?", options={}),
    ]
    session = make_session(project, people.lea, people=[one], rows=1, questions=questions)
    task = {
        "id": 7,
        "data": {"ticket": ticket(1)},
        "annotations": [
            {
                "completed_by": {"email": "ada@example.org"},
                "lead_time": 9.5,
                "result": [
                    {"from_name": "rating", "type": "rating", "value": {"rating": 4}},
                    {"from_name": "why", "type": "textarea", "value": {"text": ["Polite.", "Late."]}},
                ],
            }
        ],
    }
    data = json.dumps([task]).encode()
    brought_in(session, people, data, {"ada@example.org": one.pk}, {"rating": "stars", "why": "note"})
    label = Submission.objects.get(session=session)
    assert label.seconds == 9.5
    assert dict(label.answers.values_list("question__key", "value")) == {"stars": 4, "note": "Polite.\nLate."}


def test_a_worker_that_runs_it_twice_changes_nothing(project, people):
    (one,) = labelers(project, 1)
    session = make_session(project, people.lea, people=[one], rows=1)
    done = brought_in(
        session, people, lines(prodigy(ticket(1), "refund", "a")), {"a": one.pk}, {"accept": "intent"}
    )
    operation = Operation.objects.latest("pk")
    from apps.operations.progress import Progress

    label_import_run(label_import=done, progress=Progress(operation))
    assert Submission.objects.filter(session=session).count() == 1


def test_only_members_are_authors(project, people):
    session = make_session(project, people.lea, rows=1)
    read = label_import_create(
        session=session, data=lines(prodigy(ticket(1), "refund", "a")), file_name="a.jsonl", actor=people.lea
    )
    with pytest.raises(PortalError, match="members"):
        label_import_request(
            label_import=read,
            labelers={"a": people.zoe.pk},
            questions={"accept": "intent"},
            is_independent=True,
            actor=people.lea,
        )


def test_the_pages(project, people, client_of):
    session = make_session(project, people.lea, rows=2)
    lea = client_of(people.lea)
    address = reverse("labeling:import_labels", args=[project.workspace.slug, project.slug, session.pk])
    assert lea.get(address).status_code == 200
    refused = lea.post(address, {"file": SimpleUploadedFile("x.txt", b"hello")})
    assert refused.status_code == 422
    assert "known format" in refused.content.decode()
    data = lines(prodigy(ticket(1), "refund", "ben@example.org"), {"text": "x", "answer": "maybe"})
    sent = lea.post(address, {"file": SimpleUploadedFile("labels.jsonl", data)})
    found = LabelImport.objects.get()
    page = lea.get(sent.url).content.decode()
    assert f'<option value="{people.ben.pk}" selected>' in page  # the same e-mail: the same person
    assert "accept, reject or ignore" in page
    started = lea.post(sent.url, {"person-0": people.ben.pk, "question-0": "intent", "question-1": ""})
    assert started.status_code == 302, started.content.decode()
    work()
    found.refresh_from_db()
    assert found.label_count == 1
    assert "Imported" in lea.get(sent.url).content.decode()
