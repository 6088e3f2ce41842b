"""The API over real HTTP: what the pages can do, a program can do with a key, and no more than its person may."""

import csv
import hashlib
import io
import json
from typing import Any

import httpx
import jsonschema
import pytest

from apps.accounts.models import ApiKey, Membership, User
from apps.accounts.services import api_key_create, api_key_revoke
from apps.audit.models import AuditEvent
from apps.datasets.models import Dataset, Import
from apps.datasets.services import row_add
from tests.datasets.conftest import lines, row, tickets

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(live_server, project, people):
    """`api(user)`: a client that sends a key of the person, below the project's address."""
    clients = []

    def made(user: User) -> httpx.Client:
        membership = Membership.objects.select_related("workspace").get(user=user)
        _, key = api_key_create(workspace=membership.workspace, user=user, name="script")
        client = httpx.Client(
            base_url=f"{live_server.url}/api/w/{project.workspace.slug}/p/{project.slug}/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
        )
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.close()


def ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def refused(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code, error
    return str(error["message"])


def test_a_program_imports_checks_freezes_and_downloads(api, people, work):
    rob = api(people.rob)
    content = tickets(120)

    made = ok(rob.post("imports/", files={"file": ("tickets.jsonl", content)}), 201)
    assert made["state"] == "received"
    assert made["sha256"] == hashlib.sha256(content).hexdigest()
    work()
    checked = ok(rob.get(f"imports/{made['id']}/"))
    assert (checked["state"], checked["row_count"], checked["problem_count"]) == ("checked", 120, 0)
    assert checked["work"]["state"] == "succeeded"

    ok(rob.post(f"imports/{made['id']}/commit/", json={}))
    work()
    assert ok(rob.get(f"imports/{made['id']}/"))["added_count"] == 120
    (dataset,) = ok(rob.get("datasets/"))
    assert (dataset["name"], dataset["example_count"]) == ("tickets", 120)

    place = f"datasets/{dataset['id']}/"
    assert ok(rob.get(f"{place}checks/"))["state"] == "not_checked"
    ok(rob.post(f"{place}checks/"), 202)
    work()
    report = ok(rob.get(f"{place}checks/"))
    assert report["state"] == "done"
    assert report["is_current"]
    assert {each["seen"] for each in report["checks"]} == {120}
    finding = next(each for each in report["findings"] if "accept" in each["actions"] and each["open_count"])
    decision = {"action": "accept", "reason": "Made for a test"}
    ok(rob.post(f"findings/{finding['id']}/decisions/", json=decision))
    left = {each["id"]: each["open_count"] for each in ok(rob.get(f"{place}checks/"))["findings"]}
    assert left[finding["id"]] == 0
    blocking = [each for each in ok(rob.get(f"{place}checks/"))["findings"] if each["blocks"]]
    for each in blocking:
        ok(rob.post(f"findings/{each['id']}/decisions/", json=decision))

    frozen = ok(rob.post(f"{place}versions/", json={"note": "By a script", "seed": 7}), 202)
    work()
    version = ok(rob.get(f"versions/{frozen['id']}/"))
    assert (version["state"], version["number"], version["row_count"]) == ("frozen", 1, 120)
    manifest = rob.get(f"versions/{frozen['id']}/manifest/").content
    assert hashlib.sha256(manifest).hexdigest() == version["manifest_hash"]
    assert rob.get(f"versions/{frozen['id']}/export/").content == content
    assert [each["id"] for each in ok(rob.get(f"{place}versions/"))] == [frozen["id"]]

    difference = ok(rob.get(f"versions/{frozen['id']}/differences/"))
    assert (difference["summary"]["unchanged"], difference["summary"]["added"]) == (120, 0)


def test_a_table_is_mapped_and_the_mapping_kept(api, people, work):
    rob = api(people.rob)
    table = b"text,intent\nWhere is my card?,card\nSend money,transfer\n,card\n"

    made = ok(rob.post("imports/", files={"file": ("a.csv", table)}, data={"name": "Intents"}), 201)
    assert (made["state"], made["columns"]) == ("unmapped", ["text", "intent"])
    wanted = {"preset": "template", "prompt": "{{text}}", "answer": "{{intent}}", "save_as": "Intents"}
    missing = rob.post(f"imports/{made['id']}/mapping/", json=wanted | {"answer": "{{label}}"})
    assert "It has: text, intent" in refused(missing, 400, "unknown_column")
    ok(rob.post(f"imports/{made['id']}/mapping/", json=wanted))
    work()
    checked = ok(rob.get(f"imports/{made['id']}/"))
    assert (checked["row_count"], checked["problem_count"]) == (2, 1)
    (problem,) = ok(rob.get(f"imports/{made['id']}/problems/"))["problems"]
    assert problem["line"] == 4
    assert rob.get(f"imports/{made['id']}/rejected/").text.splitlines() == ["text,intent", ",card"]
    assert rob.post(f"imports/{made['id']}/discard/").status_code == 204
    assert not Dataset.objects.exists()

    again = ok(rob.post("imports/", files={"file": ("b.csv", table)}), 201)
    ok(rob.post(f"imports/{again['id']}/mapping/", json={"saved": "Intents"}))
    unknown = rob.post(f"imports/{again['id']}/mapping/", json={"saved": "Other"})
    assert unknown.status_code in (400, 409)
    work()
    assert ok(rob.get(f"imports/{again['id']}/"))["mapping"]["prompt"] == "{{text}}"


def test_every_problem_is_listed_page_by_page(api, people, work):
    rob = api(people.rob)
    bad = b"".join(b'{"messages": []}\n' for _ in range(120))
    made = ok(rob.post("imports/", files={"file": ("bad.jsonl", lines(row("a")) + bad)}), 201)
    work()
    seen, after = [], None
    while True:
        query: dict[str, int] = {} if after is None else {"after": after}
        page = ok(rob.get(f"imports/{made['id']}/problems/", params=query))
        seen += [each["line"] for each in page["problems"]]
        after = page["after"]
        if after is None:
            break
    assert seen == list(range(2, 122))
    assert ok(rob.get(f"imports/{made['id']}/problems/", params={"code": "other"}))["problems"] == []


def test_a_wrong_a_withdrawn_and_a_foreign_key_open_nothing(api, people, live_server, project):
    assert "Bearer" in refused(
        httpx.get(f"{live_server.url}/api/w/{project.workspace.slug}/projects/"), 401, "unauthenticated"
    )
    rob = api(people.rob)
    assert refused(
        rob.get("datasets/", headers={"Authorization": "Bearer ftp-wrong"}), 401, "unauthenticated"
    )
    refused(api(people.zoe).get("datasets/"), 404, "not_found")
    refused(api(people.vic).post("datasets/", json={"name": "Mine"}), 403, "not_allowed")
    assert ok(rob.get("datasets/")) == []
    key = ApiKey.objects.get(user=people.rob)
    assert key.last_used_at is not None
    api_key_revoke(key=key, by=people.ann)
    refused(rob.get("datasets/"), 401, "unauthenticated")


def test_a_key_ends_with_the_membership_of_its_person(api, people):
    rob = api(people.rob)
    assert ok(rob.get("datasets/")) == []
    Membership.objects.filter(user=people.rob).delete()
    refused(rob.get("datasets/"), 401, "unauthenticated")


def test_refusals_say_what_is_wrong(api, people, settings):
    rob = api(people.rob)
    assert "name" in refused(rob.post("datasets/", json={}), 422, "invalid")
    ok(rob.post("datasets/", json={"name": "Mine", "licence": "CC0-1.0"}), 201)
    refused(rob.post("datasets/", json={"name": "Mine"}), 409, "name_taken")
    refused(rob.get("datasets/999999/"), 404, "not_found")
    refused(rob.get("nothing/"), 404, "not_found")
    dataset = Dataset.objects.get()
    assert dataset.licence == "CC0-1.0"
    refused(rob.post(f"datasets/{dataset.pk}/versions/", json={}), 409, "conflict")
    shares = {"train_percent": 50, "validation_percent": 10, "test_percent": 10}
    refused(rob.post(f"datasets/{dataset.pk}/versions/", json=shares), 400, "bad_shares")
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = False
    private = rob.post("imports/fetch/", json={"url": "http://127.0.0.1:9/rows.jsonl"})
    assert private.status_code == 400
    settings.FTPORTAL_UPLOAD_LIMIT = 10
    too_large = rob.post("imports/", files={"file": ("a.jsonl", tickets(5))})
    assert "at most" in refused(too_large, 400, "invalid")
    assert not Import.objects.exists()


def test_the_audit_record_says_that_a_program_did_it(api, people):
    ok(api(people.rob).post("datasets/", json={"name": "Mine"}), 201)
    event = AuditEvent.objects.get(action="dataset.created")
    assert (event.actor, event.source) == (people.rob, "api")


def test_exports_have_their_counts(api, people, work, dataset_of, freeze):
    pair = row("Which?", "This.") | {"rejected": [{"role": "assistant", "content": "That."}]}
    weighted = row("Weighted?", "Yes.")
    weighted["messages"] = [*weighted["messages"], *row("And?", "No.")["messages"]]
    weighted["messages"][1]["weight"] = 0
    content = lines(row("Plain?", "Yes."), row("Tagged?", "Yes.", metadata={"a": 1}), pair, weighted)
    version = freeze(dataset_of(content), train_percent=100, validation_percent=0, test_percent=0)
    vic = api(people.vic)
    offered = {each["kind"]: each for each in ok(vic.get(f"versions/{version.pk}/exports/"))}
    assert (offered["chat"]["rows"], offered["chat"]["left_out"]) == (4, 0)
    assert (offered["preference"]["rows"], offered["preference"]["left_out"]) == (1, 3)
    assert offered["gemini"]["dropped"] == {
        "answers that are not to be trained on (weight 0)": 1,
        "a rejected answer": 1,
        "fields beside the conversation": 1,
    }
    for kind, each in offered.items():
        answer = vic.get(f"versions/{version.pk}/export/", params={"kind": kind})
        assert answer.status_code == 200
        if answer.headers["content-type"] == "application/x-ndjson":
            assert len([json.loads(line) for line in answer.content.splitlines()]) == each["rows"], kind
        if kind == "csv":
            assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 4
    refused(vic.get(f"versions/{version.pk}/export/", params={"kind": "docx"}), 400, "unknown_kind")
    refused(vic.get(f"versions/{version.pk}/export/", params={"split": "dev"}), 400, "unknown_split")


def test_the_schema_is_whole_and_its_page_has_no_script_of_its_own(live_server):
    schema = ok(httpx.get(f"{live_server.url}/api/openapi.json"))
    assert schema["openapi"].startswith("3.1")
    for path, operations in schema["paths"].items():
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in operations.values():
            declared = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
            assert declared == named, path
            assert operation["description"], path
            assert operation["security"], path
    for definition in schema["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(definition)
    page = httpx.get(f"{live_server.url}/api/", follow_redirects=True)
    assert page.url.path == "/api/docs"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    scripts = [part.split(">")[0] for part in page.text.split("<script")[1:]]
    assert all("src=" in each or "application/json" in each for each in scripts)


# --- Pieces and rows ------------------------------------------------------------------------------------------


def test_a_file_in_pieces_goes_on_where_it_stopped(api, people):
    """Two and a half megabytes: one whole piece of two, and the rest."""
    file = b"".join(
        json.dumps(row(f"Ticket {number} " + "x" * 400, "a")).encode() + b"\n" for number in range(5200)
    )
    rob = api(people.rob)
    begun = ok(rob.post("uploads/", json={"file_name": "big.jsonl", "size": len(file), "modified": "1"}))
    step = begun["piece_bytes"]
    assert len(file) > step
    place = f"uploads/{begun['id']}/"

    assert ok(rob.put(place, params={"offset": 0}, content=file[:step]))["received"] == step
    message = refused(rob.put(place, params={"offset": 0}, content=file[:step]), 409, "conflict")
    assert str(step) in message, "a piece that is sent twice is not stored twice"
    refused(rob.put(place, params={"offset": step}, content=file[step : step + 100]), 400, "bad_piece")
    refused(rob.put(place, params={"offset": step}, content=b"x" * (step + 1)), 400, "bad_piece")
    refused(rob.post(f"{place}import/", json={"name": "Big"}), 400, "invalid")

    again = ok(rob.post("uploads/", json={"file_name": "big.jsonl", "size": len(file), "modified": "1"}))
    assert (again["id"], again["received"], again["is_whole"]) == (begun["id"], step, False)
    assert ok(rob.put(place, params={"offset": step}, content=file[step:]))["is_whole"] is True
    refused(api(people.lea).get(place), 409, "conflict")  # it is Rob's
    made = ok(rob.post(f"{place}import/", json={"name": "Big"}), 201)

    assert made["file_name"] == "big.jsonl"
    assert Import.objects.get(pk=made["id"]).dataset.name == "Big"


def test_rows_are_added_edited_and_removed_with_their_history(api, people, project):
    rob = api(people.rob)
    dataset = ok(rob.post("datasets/", json={"name": "By hand"}), 201)["id"]
    rows_at = f"datasets/{dataset}/rows/"

    first = ok(rob.post(rows_at, json={"row": row("Where is it?", "delivery")}), 201)
    second = ok(rob.post(rows_at, json={"row": row("Money back", "refund")}), 201)
    assert [each["row"] for each in ok(rob.get(rows_at))["rows"]] == [first["row"], second["row"]]

    edited = ok(rob.put(f"rows/{first['id']}/", json={"row": row("Where is it?", "other")}))
    assert (edited["key"], edited["stands"]) == (first["key"], True)
    assert edited["id"] != first["id"]
    assert ok(rob.get(f"rows/{first['id']}/"))["stands"] is False
    refused(rob.put(f"rows/{first['id']}/", json={"row": row("Late", "other")}), 409, "stale_row")

    message = refused(rob.post(rows_at, json={"row": {"messages": []}}), 422, "row_problems")
    assert message
    refused(rob.post(rows_at, json={}), 422, "invalid")
    assert rob.delete(f"rows/{second['id']}/", params={"reason": "spam"}).status_code == 204
    refused(rob.delete(f"rows/{second['id']}/"), 409, "stale_row")
    assert [each["id"] for each in ok(rob.get(rows_at))["rows"]] == [edited["id"]]
    assert Dataset.objects.get(pk=dataset).example_count == 1
    refused(api(people.vic).put(f"rows/{edited['id']}/", json={"row": row("a", "b")}), 403, "not_allowed")


def test_rows_come_a_hundred_at_a_time(api, people, project):
    dataset = Dataset.objects.create(project=project, name="Many")
    for number in range(101):
        row_add(dataset=dataset, raw=json.dumps(row(f"q{number}", "a")).encode(), actor=people.rob)
    vic = api(people.vic)

    page = ok(vic.get(f"datasets/{dataset.pk}/rows/"))
    rest = ok(vic.get(f"datasets/{dataset.pk}/rows/", params={"after": page["next"]}))

    assert (len(page["rows"]), len(rest["rows"]), rest["next"]) == (100, 1, None)
