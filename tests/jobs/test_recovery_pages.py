from datetime import date
from urllib.parse import parse_qsl

import pytest

from apps.evaluations.services.recording import Recording, recording_start
from apps.evaluations.services.suites import suite_from_version
from apps.jobs.models import Archive, JobState, TrainingJob
from apps.jobs.plugs import evidence_of
from apps.jobs.recovery.rescue import rescue_of
from apps.jobs.services import job_start
from apps.operations.models import Operation
from apps.operations.services import operation_run
from apps.providers.models import Connection
from apps.registry.services import base_model_ensure, model_version_create
from tests.jobs.archives import HELD_OUT, ROWS, chat_lines, work
from tests.jobs.conftest import freeze

pytestmark = pytest.mark.django_db(transaction=True)
LONG_BEFORE, NEAR = date(2026, 1, 1), date(2026, 11, 22)
EPOCHS = {
    "type": "supervised",
    "supervised": {"hyperparameters": {"n_epochs": 4, "learning_rate_multiplier": 2}},
}


@pytest.fixture
def pages(client_of, people, project):
    """`pages.get(path, …)` below Train of the project, as Lea who leads."""
    client = client_of(people.lea)
    root = f"/w/support-team/p/{project.slug}/train/"

    class Pages:
        def get(self, path: str = "", **parameters):
            return client.get(root + path, parameters)

        def post(self, path: str, **fields):
            return client.post(root + path, fields, follow=True)

    return Pages()


def text(response) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


# --- Import from a provider --------------------------------------------------------------------------------------


def test_the_whole_way_over_the_pages(account, connection, pages):
    held_out = account.file(chat_lines(HELD_OUT, what="letter"), "held.jsonl")
    handle = account.job(account.file(chat_lines(ROWS)), held_out)
    assert "List what is there" in text(pages.get("from-provider/"))
    pages.post("from-provider/", connection=connection.pk)
    work()
    archive = Archive.objects.get()
    listing = text(pages.get(f"from-provider/{archive.pk}/"))
    assert account.model_of(handle) in listing
    assert "ends 14 Jan 2027" in listing, "as the server lists it"
    assert "still there" in listing

    assert "1 is being brought in" in text(pages.post(f"from-provider/{archive.pk}/bring-in/", job=handle))
    work()
    job = TrainingJob.objects.get()
    assert job.get_absolute_url() in text(pages.get(f"from-provider/{archive.pk}/"))
    shown = text(pages.get(f"{job.pk}/"))
    assert "Imported from a provider" in shown
    assert "1. The data is here and checked" in shown
    assert f"{HELD_OUT} rows of the validation file are held out" in shown
    assert "imported" in text(pages.get())


def test_when_a_listing_is_done_what_stands_around_it_is_shown_anew(
    account, connection, client_of, people, project
):
    account.job(account.file(chat_lines(ROWS)))
    lea = client_of(people.lea)
    root = f"/w/support-team/p/{project.slug}/train/from-provider/"
    lea.post(root, {"connection": connection.pk})
    page = f"{root}{Archive.objects.get().pk}/"
    part = {"HX-Request": "true", "HX-Target": "div#archive"}
    assert "HX-Refresh" not in lea.get(page, headers=part).headers

    work()

    assert lea.get(page, headers=part).headers["HX-Refresh"] == "true"


def test_files_have_a_page_of_their_own(account, connection, pages, listed):
    file = account.file(chat_lines(ROWS), "alone.jsonl")
    archive = listed()
    assert "alone.jsonl" in text(pages.get(f"from-provider/{archive.pk}/", show="files"))
    pages.post(f"from-provider/{archive.pk}/bring-in/", file=file)
    work()
    assert "alone.jsonl" in text(pages.get(f"from-provider/{archive.pk}/", show="files"))
    assert "Brought in" not in text(pages.get(f"from-provider/{archive.pk}/", show="jobs"))


def test_a_long_listing_has_pages(project, connection, pages, account):
    account.job(account.file(chat_lines(ROWS)))
    pages.post("from-provider/", connection=connection.pk)
    work()
    archive = Archive.objects.get()
    many = [{**archive.jobs[0], "handle": f"ftjob-{number}", "tuned_model": None} for number in range(120)]
    Archive.objects.update(jobs=many)
    first, last = (
        text(pages.get(f"from-provider/{archive.pk}/")),
        text(pages.get(f"from-provider/{archive.pk}/", page=9)),
    )
    assert "ftjob-0" in first
    assert "ftjob-50" not in first
    assert "ftjob-119" in last


def test_without_a_connection_the_page_says_where_to_make_one(pages, sketch_connection):
    assert "Go to the connections" in text(pages.get("from-provider/"))
    refused = pages.post("from-provider/", connection=sketch_connection.pk)
    assert "lists no past jobs" in text(refused)


def test_nothing_chosen_is_said(account, listed, pages):
    account.job(account.file(chat_lines(ROWS)))
    archive = listed()
    assert "Choose jobs or files" in text(pages.post(f"from-provider/{archive.pk}/bring-in/"))


def test_a_job_without_its_data_says_so_until_somebody_chooses_a_version(account, listed, pages, project):
    training = account.file(chat_lines(ROWS))
    handle = account.job(training)
    account.forget_file(training)
    archive = listed()
    assert "Not listed" in text(pages.get(f"from-provider/{archive.pk}/"))
    pages.post(f"from-provider/{archive.pk}/bring-in/", job=handle)
    work()
    assert "can&#x27;t be had" in text(pages.get(f"from-provider/{archive.pk}/"))
    version = freeze(project)
    pages.post(f"from-provider/{archive.pk}/bring-in/", job=handle, stand_in=version.pk)
    work()
    job = TrainingJob.objects.get()
    assert "Its training file is gone" in text(pages.get(f"{job.pk}/"))


def test_the_model_of_a_job_may_be_deleted(account, bring_in, pages, peer):
    handle = account.job(account.file(chat_lines(ROWS)))
    peer.state.deleted_models.add(account.model_of(handle))
    (job,) = bring_in(handle)
    assert "The tuned model was deleted" in text(pages.get(f"{job.pk}/"))


# --- Rescue ------------------------------------------------------------------------------------------------------


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("?")[2]))


def rescue(job: TrainingJob, today: date = NEAR):
    found = rescue_of(
        TrainingJob.objects.select_related("base_model__connection").get(pk=job.pk), today=today
    )
    assert found is not None
    return found


def test_every_step_follows_what_is_there(account, bring_in, people, project, workspace, pages):
    held_out = account.file(chat_lines(HELD_OUT, what="letter"), "held.jsonl")
    (old,) = bring_in(account.job(account.file(chat_lines(ROWS)), held_out, method=EPOCHS))
    steps = rescue(old)
    assert [steps.data_step[1], steps.record_step[1], steps.train_step[1], steps.compare_step[1]] == [
        "Here", "Do it now", "To do", "To do",
    ]  # fmt: skip
    assert steps.carried == {"epochs": 4}
    assert steps.left == ["learning_rate_multiplier"]
    assert f"items=version%3A{old.version_id}" in steps.evidence.record_url

    suite = suite_from_version(project=project, version=old.version, by=people.lea)
    assert suite.item_count == HELD_OUT
    recording_start(
        project=project, wish=Recording(model_version=old.model_version, suite=suite), by=people.lea
    )
    assert rescue(old).record_step[1] == "Recording"
    operation_run(operation_id=Operation.objects.get(kind="evaluations.record").pk)
    steps = rescue(old)
    assert steps.record_step[1] == "Recorded"
    assert (steps.evidence.recorded[0].answers, steps.evidence.recorded[0].trained_on) == (HELD_OUT, 0)
    assert steps.compare_url == ""

    base = base_model_ensure(workspace=workspace, reference="acme/tiny", actor=people.lea)
    new = job_start(
        project=project, version=old.version, base_model=base, name="Again", method="lora",
        hyperparameters={"epochs": 4}, by=people.lea,
    )  # fmt: skip
    assert rescue(old).train_step[1] == "Training"
    model = model_version_create(
        project=project, base_model=base, kind="remote", artifact=None, name="Again", validation_loss=None,
        best_step=None, actor=people.lea, provider_model="acme/tiny-tuned",
    )  # fmt: skip
    TrainingJob.objects.filter(pk=new.pk).update(state=JobState.SUCCEEDED, model_version=model)
    steps = rescue(old)
    assert steps.train_step[1] == "Trained"
    assert steps.compare_url.endswith(f"&model={model.pk}")
    assert "Compare" in text(pages.get(f"{old.pk}/"))


def test_the_form_of_the_new_job_is_filled_in(account, bring_in, pages):
    (old,) = bring_in(account.job(account.file(chat_lines(ROWS)), method=EPOCHS))
    steps = rescue(old)
    form = text(pages.get(steps.train_url.split("/train/")[1].split("?")[0], **query(steps.train_url)))
    assert f'value="{old.version_id}" selected' in form
    assert 'name="epochs" value="4' in form
    assert text(pages.get(steps.where_url.split("/train/")[1].split("?")[0], **query(steps.where_url)))


def test_without_a_validation_file_it_says_that_nothing_is_held_out(account, bring_in, pages):
    (old,) = bring_in(account.job(account.file(chat_lines(ROWS))))
    shown = text(pages.get(f"{old.pk}/"))
    assert "Every row at hand is one that the old model was trained on" in shown


def test_bad_rows_ask_for_a_look(account, bring_in, peer, pages):
    training = account.file(chat_lines(ROWS))
    peer.state.contents[training] += b'{"messages": []}\n'
    (old,) = bring_in(account.job(training))
    assert rescue(old).data_step[1] == "Here, look at it"
    assert "1 line of the file could not be used" in text(pages.get(f"{old.pk}/"))


def test_a_job_from_here_is_rescued_when_its_base_is_about_to_end(account, bring_in, workspace):
    (job,) = bring_in(account.job(account.file(chat_lines(ROWS))))
    TrainingJob.objects.update(imported_at=None)
    assert rescue_of(TrainingJob.objects.get(pk=job.pk), today=LONG_BEFORE) is None
    Connection.objects.update(
        offered={"served": [{"id": job.base_model.reference, "end_of_life": "2027-01-14"}]}
    )
    assert rescue(job).life.tone == "attention"
    assert evidence_of(job) is not None


def test_a_failed_job_needs_no_rescue(account, bring_in, peer):
    handle = account.begin(account.file(chat_lines(ROWS)))
    peer.advance(handle, "failed")
    (job,) = bring_in(handle)
    assert rescue_of(job, today=NEAR) is None
