import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.projects.models import Project

pytestmark = pytest.mark.django_db


def test_a_lead_starts_a_project(people, client_of):
    response = client_of(people.lea).post(
        "/w/support-team/new/", {"name": "Invoice reader", "goal": "Read totals."}
    )

    project = Project.objects.get()
    assert response.status_code == 302
    assert response.headers["Location"] == "/w/support-team/p/invoice-reader/"
    assert (project.name, project.goal, project.created_by) == ("Invoice reader", "Read totals.", people.lea)
    assert AuditEvent.objects.get(action="project.created").actor == people.lea


def test_two_projects_may_share_a_name_but_not_an_address(people, client_of):
    for _ in range(2):
        client_of(people.lea).post("/w/support-team/new/", {"name": "Same"})

    assert sorted(Project.objects.values_list("slug", flat=True)) == ["same", "same-2"]


def test_a_project_without_a_name_is_refused_and_the_input_kept(people, client_of):
    response = client_of(people.lea).post("/w/support-team/new/", {"name": " ", "goal": "Keep me"})

    assert response.status_code == 422
    assert "Keep me" in response.content.decode()
    assert not Project.objects.exists()


def test_a_name_in_another_script_gets_an_address_too(people, client_of):
    client_of(people.lea).post("/w/support-team/new/", {"name": "客服"})

    assert Project.objects.get().slug == "project"


def test_changes_are_recorded_with_before_and_after(people, project, client_of):
    url = reverse("projects:settings", args=["support-team", "ticket-triage"])

    client_of(people.lea).post(url, {"name": "Triage", "goal": "", "base_model": project.base_model})

    event = AuditEvent.objects.get(action="project.changed")
    assert (event.before or {})["name"] == "Ticket triage"
    assert (event.after or {})["name"] == "Triage"
    project.refresh_from_db()
    assert project.slug == "ticket-triage"


def test_project_names_are_escaped(people, workspace, client_of):
    Project.objects.create(workspace=workspace, name="<script>alert(1)</script>", slug="x")

    page = client_of(people.vic).get("/w/support-team/").content.decode()

    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_an_archived_project_is_out_of_the_lists_and_comes_back(project, people, client_of):
    lea = client_of(people.lea)
    front, page = project.workspace.get_absolute_url(), project.get_absolute_url()

    for _ in range(2):  # the second is a second tab
        assert lea.post(f"{page}settings/archive/", follow=True).status_code == 200
    listed = lea.get(front).content.decode()
    assert "Archived projects" in listed
    assert "project-card" not in listed
    assert "This project is archived" in lea.get(page).content.decode()
    assert [] == []

    for _ in range(2):
        assert lea.post(f"{page}settings/restore/", follow=True).status_code == 200
    assert "project-card" in lea.get(front).content.decode()
    assert "This project is archived" not in lea.get(page).content.decode()
    actions = AuditEvent.objects.filter(action__startswith="project.").order_by("pk")
    assert list(actions.values_list("action", "actor__name")) == [
        ("project.archived", "Lea"),
        ("project.restored", "Lea"),
    ]
