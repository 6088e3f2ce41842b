"""What holds for every request: headers, errors, limits, repeats."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from openai import OpenAI

from apps.gateway.models import FineTuningJob, IdempotentRequest
from tests.evaluations.inference_server import say
from tests.gateway.conftest import MODEL, chats
from tests.gateway.schemas import ERROR, check
from tests.gateway.serving import gateway_running

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/files/file-nothing", 404),
        ("GET", "/fine_tuning/jobs/ftjob-nothing", 404),
        ("GET", "/models/nothing", 404),
        ("PUT", "/files", 405),
        ("POST", "/fine_tuning/jobs", 400),
        ("GET", "/files?limit=many", 400),
        ("GET", "/files?order=sideways", 400),
        ("GET", "/files/%00", 404),
        ("GET", "/models/%00", 404),
        ("GET", "/fine_tuning/jobs/%00", 404),
        ("GET", "/chat/completions/%00", 404),
        ("GET", "/webhook_endpoints/%00", 404),
    ],
)
def test_errors_have_the_shape_of_the_protocol(http, method, path, status):
    response = http.request(method, path)

    assert response.status_code == status
    check(response.json(), ERROR)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")


def test_broken_json_is_named(http):
    response = http.post("/chat/completions", content=b"{not json")

    assert response.status_code == 400
    assert response.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize("body", [b'{"model": "\xff"}', b'{"a":' * 100_000, b"[" * 100_000, b"null", b"[]"])
def test_what_is_no_request_is_refused_whatever_it_is(http, body):
    response = http.post("/chat/completions", content=body)

    assert response.status_code == 400
    check(response.json(), ERROR)


@pytest.mark.parametrize(
    "query",
    ["/files?after=%00", "/files?purpose=%00", "/fine_tuning/jobs?metadata[a]=%00",
     "/fine_tuning/jobs?metadata[%00]=a", "/chat/completions?model=%00"],
)  # fmt: skip
def test_what_names_nothing_finds_nothing(http, query):
    response = http.get(query)

    assert (response.status_code, response.json()["data"]) == (200, [])


def test_a_limit_of_any_length_is_a_limit(http):
    assert http.get(f"/files?limit={'9' * 5000}").status_code == 200


def test_a_character_that_can_not_be_stored_is_replaced(http, inference):
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "a\0\0b\\u0000"}]}
    response = http.post("/chat/completions", json={**asked, "store": True, "metadata": {"run": "1\0"}})

    assert response.status_code == 200
    stored = http.get(f"/chat/completions/{response.json()['id']}").json()
    assert stored["metadata"] == {"run": "1\ufffd"}
    assert inference.bodies[-1]["messages"][-1]["content"] == "a\ufffd\ufffdb\\u0000"
    missing = http.post("/chat/completions", json={**asked, "model": "nosuch\0"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")


def test_what_is_missing_is_named_as_the_protocol_does(http):
    """In the words and with the code of OpenAI: Missing required parameter: 'training_file'."""
    for path, body, name in (
        ("/chat/completions", {"messages": HELLO}, "model"),
        ("/fine_tuning/jobs", {"model": MODEL}, "training_file"),
        ("/fine_tuning/jobs", {"model": MODEL, "training_file": "file-1", "method": {}}, "method.type"),
    ):
        error = http.post(path, json=body).json()["error"]
        assert (error["param"], error["code"]) == (name, "missing_required_parameter")
        assert error["message"] == f"Missing required parameter: '{name}'."


def test_a_wrong_type_is_named_with_its_place(http):
    response = http.post("/fine_tuning/jobs", json={"model": 5, "training_file": "file-1"})

    assert response.json()["error"]["param"] == "model"


def test_every_answer_has_an_id_of_its_own(client):
    one, other = (client.models.with_raw_response.list() for _ in range(2))

    assert one.headers["x-request-id"] != other.headers["x-request-id"]
    assert one.headers["openai-organization"] == "support-team"
    assert int(one.headers["openai-processing-ms"]) >= 0


def test_an_unexpected_error_has_an_id_and_no_inner_words(http, inference):
    inference.script = lambda body: (200, {"text": "half a reply"})

    response = http.post("/chat/completions", json={"model": MODEL, "messages": HELLO})

    assert response.status_code == 500
    error = check(response.json(), ERROR)["error"]
    assert response.headers["x-request-id"] in error["message"]
    assert "KeyError" not in error["message"]


# --- Limits --------------------------------------------------------------------------------------------------


def test_a_key_has_so_many_requests_a_minute(transactional_db, inference, settings, people, key_of):
    settings.FTPORTAL_API_REQUESTS_PER_MINUTE = 3
    with gateway_running() as url, httpx.Client(base_url=url) as client:
        client.headers["Authorization"] = f"Bearer {key_of(people.ann)}"
        answers = [client.get("/models") for _ in range(5)]
        other = client.get("/models", headers={"Authorization": f"Bearer {key_of(people.lea)}"})

    # A window may have turned in between; then the first of the new one is let through again.
    statuses = [answer.status_code for answer in answers]
    assert statuses[:3] == [200, 200, 200]
    assert 429 in statuses[3:]
    refused = answers[statuses.index(429)]
    assert check(refused.json(), ERROR)["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert answers[0].headers["x-ratelimit-remaining-requests"] == "2"
    assert other.status_code == 200, "another key has its own"


def test_without_redis_nothing_is_limited(transactional_db, inference, settings, people, key_of):
    settings.FTPORTAL_API_REQUESTS_PER_MINUTE = 1
    settings.FTPORTAL_REDIS_URL = "redis://127.0.0.1:9/0"
    with gateway_running() as url, httpx.Client(base_url=url) as client:
        client.headers["Authorization"] = f"Bearer {key_of(people.ann)}"
        assert [client.get("/models").status_code for _ in range(3)] == [200, 200, 200]


# --- Repeats -------------------------------------------------------------------------------------------------


def test_a_repeated_request_is_done_once(http, upload):
    body = {"model": MODEL, "training_file": upload(chats(12)).id}
    key = {"Idempotency-Key": "once"}

    first = http.post("/fine_tuning/jobs", json=body, headers=key)
    again = http.post("/fine_tuning/jobs", json=body, headers=key)

    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert b"ftjob-" not in bytes(IdempotentRequest.objects.get().reply), "sealed: replies can hold secrets"
    assert FineTuningJob.objects.count() == 1


def test_repeats_at_the_same_moment_are_done_once(base_url, http, upload):
    body = {"model": MODEL, "training_file": upload(chats(12)).id}
    headers = {**http.headers, "Idempotency-Key": "at once"}

    def send(_: int) -> httpx.Response:
        return httpx.post(f"{base_url}/fine_tuning/jobs", json=body, headers=headers, timeout=30)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(4)))

    assert FineTuningJob.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {200, 409}
    for answer in answers:
        if answer.status_code == 409:
            assert answer.headers["x-should-retry"] == "true"


def test_a_key_is_not_taken_for_another_request(http):
    key = {"Idempotency-Key": "k"}
    http.post("/chat/completions", json={"model": MODEL, "messages": HELLO}, headers=key)

    other = http.post("/chat/completions", json={"model": MODEL, "messages": HELLO * 2}, headers=key)

    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert other.headers["x-should-retry"] == "false"


def test_what_failed_may_be_tried_again_with_the_same_key(http, inference):
    asked = {"model": MODEL, "messages": HELLO}
    key = {"Idempotency-Key": "k"}
    inference.script = lambda body: (503, {"error": {"code": "busy", "message": "Busy."}})
    assert http.post("/chat/completions", json=asked, headers=key).status_code == 503

    inference.script = lambda body: say("now")

    assert http.post("/chat/completions", json=asked, headers=key).status_code == 200
    assert IdempotentRequest.objects.count() == 1


def test_a_streamed_answer_is_not_told_again(http, inference):
    asked = {"model": MODEL, "messages": HELLO, "stream": True}
    for text in ("once", "again"):
        inference.script = lambda body, text=text: say(text)
        answer = http.post("/chat/completions", json=asked, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 200
        assert text in answer.text


def test_keys_of_different_callers_do_not_meet(base_url, http, people, key_of, inference):
    asked = {"model": MODEL, "messages": HELLO}
    http.post("/chat/completions", json=asked, headers={"Idempotency-Key": "k"})
    inference.script = lambda body: say("for Lea")
    with OpenAI(api_key=key_of(people.lea), base_url=base_url) as lea:
        answer = lea.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Hello"}],
            extra_headers={"Idempotency-Key": "k"},
        )

    assert answer.choices[0].message.content == "for Lea"


def test_an_upload_is_repeated_by_its_key_alone(client, http):
    files = {"file": ("a.txt", b"text")}
    answers = [
        http.post("/files", data={"purpose": "user_data"}, files=files, headers={"Idempotency-Key": "up"})
        for _ in range(2)
    ]

    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert json.loads(answers[0].content) == json.loads(answers[1].content)
