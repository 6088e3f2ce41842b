"""The adapter that Together has trained, from the page of its job. The archive is what its stand-in hands out."""

import pytest
from django.urls import reverse

from apps.jobs.models import JobState, TrainingJob
from apps.jobs.services import job_start
from apps.providers.opening import adapters_forget
from apps.providers.services import connection_create
from apps.registry.models import BaseModel
from tests.providers.together_peer import TogetherPeer

pytestmark = pytest.mark.django_db


@pytest.fixture
def there():
    peer = TogetherPeer()
    peer.start()
    yield peer
    adapters_forget()
    peer.stop()


@pytest.fixture
def done(workspace, project, version, people, there, settings) -> TrainingJob:
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    account = connection_create(
        workspace=workspace, provider="together", name="Together", by=people.ann,
        settings={"base_url": there.settings()["base_url"]}, secrets={"api_key": there.settings()["api_key"]},
    )  # fmt: skip
    base = BaseModel.objects.create(
        workspace=workspace, provider="together", connection=account, reference=there.base_model, name="Base"
    )
    job = job_start(
        project=project, version=version, base_model=base, name="Colours", method="managed", hyperparameters={},
        by=people.lea,
    )  # fmt: skip
    TrainingJob.objects.filter(pk=job.pk).update(state=JobState.SUCCEEDED, handle="ft-gone")
    job.refresh_from_db()
    return job


def address(job: TrainingJob) -> str:
    return reverse("jobs:adapter", args=[job.project.workspace.slug, job.project.slug, job.pk])


def test_the_archive_is_handed_on(done, there, client_of, people, tmp_path):
    from tests.providers.contract.steps import submitted

    adapter = there.adapter()
    handle = submitted(adapter, there, tmp_path)
    adapter.close()
    there.advance(handle, "succeeded")
    TrainingJob.objects.filter(pk=done.pk).update(handle=handle)
    response = client_of(people.lea).get(address(done))
    assert response.status_code == 200
    assert b"".join(response.streaming_content) == f"weights of {handle}.tar.zst".encode() * 100_000
    assert f"job-{done.number}-adapter.tar.zst" in response["Content-Disposition"]


def test_one_that_is_gone_is_said_on_the_page(done, client_of, people):
    lea = client_of(people.lea)
    page = lea.get(address(done), follow=True)
    assert page.redirect_chain[0][0] == done.get_absolute_url()
    assert "holds no job ft-gone" in page.content.decode()


def test_where_there_is_none_nothing_is_offered(done, client_of, people):
    TrainingJob.objects.filter(pk=done.pk).update(state=JobState.FAILED)
    page = client_of(people.lea).get(address(done), follow=True).content.decode()
    assert "There is no adapter of" in page
    assert "Download the adapter" not in page
