import json
import socket

import httpx
import openai
import pytest
from pydantic import BaseModel

from apps.gateway.models import StoredCompletion
from tests.evaluations.inference_server import refuse, say
from tests.gateway.conftest import MODEL, chats, finish_training
from tests.gateway.schemas import CHUNK, COMPLETION, check

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def tuned(client, upload) -> str:
    """The name of a model that was trained through the API."""
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(12)).id)
    finish_training(job.id)
    return str(client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model)


def test_a_base_model_answers(client, inference, http):
    inference.script = lambda body: say("Good morning")
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)

    assert answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.content == "Good morning"
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", MODEL)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        12,
        5,
        17,
    )
    check(http.post("/chat/completions", json={"model": MODEL, "messages": HELLO}).json(), COMPLETION)


def test_what_is_asked_for_reaches_the_model(client, inference):
    client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        ],
        temperature=0.25,
        top_p=0.5,
        max_completion_tokens=9,
        stop="END",
        seed=11,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        user="somebody",
    )

    (body,) = inference.bodies
    assert body["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "one\ntwo"},
    ]
    asked = {name: body[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed")}
    assert asked == {"temperature": 0.25, "top_p": 0.5, "max_tokens": 9, "stop": ["END"], "seed": 11}
    assert (body["frequency_penalty"], body["presence_penalty"]) == (0.5, -0.5)


def test_a_tuned_model_and_its_checkpoint_answer_with_their_own_weights(client, inference, tuned):
    client.chat.completions.create(model=tuned, messages=HELLO)
    client.chat.completions.create(model=f"{tuned}:ckpt-step-3", messages=HELLO)

    one, other = (body["model"] for body in inference.bodies[-2:])
    assert one != other
    assert {body["kind"] for body in inference.bodies} == {"adapter"}


def test_weights_that_the_inference_program_lacks_are_brought(client, inference, tuned):
    def only_with_weights(body):
        if body["model"] not in inference.models:
            return refuse(404, "model_missing", "not here")
        return say("Here I am")

    inference.script = only_with_weights

    assert (
        client.chat.completions.create(model=tuned, messages=HELLO).choices[0].message.content == "Here I am"
    )
    inference.models.clear()
    stream = client.chat.completions.create(model=tuned, messages=HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Here I am"


def test_several_choices_differ_in_their_seed(client, inference):
    inference.script = lambda body: say(str(body["seed"]))
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, n=3, seed=5)

    assert [choice.message.content for choice in answer.choices] == ["5", "6", "7"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage.completion_tokens == 15


def test_a_stream_comes_in_pieces_with_usage_at_the_end(http, inference):
    inference.script = lambda body: say("one two three")
    asked = {
        "model": MODEL,
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with http.stream("POST", "/chat/completions", json=asked) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]

    assert lines[-1] == "data: [DONE]"
    chunks = [check(json.loads(line.removeprefix("data: ")), CHUNK) for line in lines[:-1]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1]]
    assert "".join(texts) == "one two three"
    assert sum(bool(text) for text in texts) == 3
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]]
    assert [reason for reason in reasons if reason] == ["stop"]
    # With include_usage every chunk has the key, and the last one has no choices (OpenAI's description).
    assert all("usage" in chunk for chunk in chunks)
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 17)
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_several_choices_can_be_streamed(client, inference):
    inference.script = lambda body: say(f"seed {body['seed']}")
    texts: dict[int, str] = {}
    for chunk in client.chat.completions.create(model=MODEL, messages=HELLO, n=2, seed=1, stream=True):
        choice = chunk.choices[0]
        texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")

    assert texts == {0: "seed 1", 1: "seed 2"}


def test_what_is_wrong_with_a_streamed_request_has_a_status(client, inference):
    inference.script = lambda body: refuse(422, "too_long", "The prompt has 9000 tokens.")

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)

    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


def test_logprobs_are_told(http, inference):
    chance = {
        "chosen": {"text": "Hé", "logarithm": -0.5},
        "top": [{"text": "Hé", "logarithm": -0.5}, {"text": "Ho", "logarithm": -1.5}],
    }
    inference.script = lambda body: (200, {**say("Hé")[1], "chances": [chance]})
    asked = {"model": MODEL, "messages": HELLO, "logprobs": True, "top_logprobs": 2}

    body = check(http.post("/chat/completions", json=asked).json(), COMPLETION)

    (token,) = body["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("Hé", -0.5, list("Hé".encode()))
    assert [each["token"] for each in token["top_logprobs"]] == ["Hé", "Ho"]
    assert inference.bodies[-1]["top_chances"] == 2


def test_one_of_several_choices_that_fails_fails_the_request_with_its_reason(client, inference):
    inference.script = lambda body: (
        say("fine") if body["seed"] == 5 else refuse(422, "too_long", "The prompt has 9000 tokens.")
    )

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=HELLO, n=2, seed=5)

    assert refused.value.code == "context_length_exceeded"


def test_an_answer_that_nobody_waits_for_is_given_up(base_url, people, key_of, settings):
    """The model is asked over a connection, and that is closed when the client goes: the program stops computing."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.FTPORTAL_INFERENCE_URL = f"http://127.0.0.1:{listener.getsockname()[1]}"
    asked = {"model": MODEL, "messages": HELLO}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{base_url}/chat/completions",
            json=asked,
            headers={"Authorization": f"Bearer {key_of(people.ann)}"},
            timeout=3,
        )
    connection, _ = listener.accept()
    connection.settimeout(20)
    received = b""
    while piece := connection.recv(65536):
        received += piece

    assert b"POST /chat" in received, "the end of the connection came after the question"
    connection.close()
    listener.close()


# --- Formats -------------------------------------------------------------------------------------------------


class Ticket(BaseModel):
    category: str
    urgent: bool


def test_an_answer_that_does_not_fit_its_schema_is_asked_for_again(client, inference):
    answers = iter(['{"category": "bug"}', "not JSON", '{"category": "bug", "urgent": true}'])
    inference.script = lambda body: say(next(answers))

    answer = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Ticket, temperature=0)

    assert answer.choices[0].message.parsed == Ticket(category="bug", urgent=True)
    assert answer.usage.completion_tokens == 15, "every try is paid for"
    assert [body["temperature"] for body in inference.bodies] == [0, 0.3, 0.6]


def test_after_three_tries_it_is_refused_with_the_reason(client, inference):
    inference.script = lambda body: say('{"category": 3, "urgent": true}')

    message = (
        client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Ticket).choices[0].message
    )

    assert (message.parsed, message.content) == (None, None)
    assert "$.category" in message.refusal
    assert len(inference.bodies) == 3


def test_a_refusal_may_be_sent_back_as_it_came(client, inference):
    inference.script = lambda body: say("no object")
    refused = client.chat.completions.create(
        model=MODEL, messages=HELLO, response_format={"type": "json_object"}
    )
    message = refused.choices[0].message
    assert message.content is None

    client.chat.completions.create(model=MODEL, messages=[*HELLO, message, *HELLO])

    assert inference.bodies[-1]["messages"][1] == {"role": "assistant", "content": message.refusal}


def test_a_streamed_answer_with_a_schema_is_shown_once_it_fits(client, inference):
    answers = iter(["no", '{"category": "bug", "urgent": false}'])
    inference.script = lambda body: say(next(answers))
    with client.chat.completions.stream(model=MODEL, messages=HELLO, response_format=Ticket) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.parsed == Ticket(category="bug", urgent=False)


# --- Refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
         "messages[0].content"),
        ({"temperature": 2.5}, "temperature"),
        ({"n": 0}, "n"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"logit_bias": {"5": 10}}, "logit_bias"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nope"}}}},
         "response_format.json_schema.schema"),
        ({"response_format": {"type": "json_schema", "json_schema":
          {"name": "x", "schema": {"$ref": "https://example.org/schema"}}}}, "response_format.json_schema.schema"),
        ({"max_tokens": "many"}, "max_tokens"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_refused_by_name(http, inference, options, param):
    response = http.post("/chat/completions", json={"model": MODEL, "messages": HELLO, **options})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert inference.bodies == []


def test_a_model_program_that_is_away_is_worth_another_try(client, settings):
    settings.FTPORTAL_INFERENCE_URL = "http://127.0.0.1:9"

    with pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model=MODEL, messages=HELLO)

    assert refused.value.status_code == 503
    assert refused.value.response.headers["x-should-retry"] == "true"
    assert refused.value.response.headers["retry-after"] == "2"


# --- Stored ones ---------------------------------------------------------------------------------------------


def test_a_stored_completion_can_be_found_changed_and_deleted(client, inference):
    inference.script = lambda body: say("kept")
    kept = client.chat.completions.create(model=MODEL, messages=HELLO, store=True, metadata={"run": "1"})
    client.chat.completions.create(model=MODEL, messages=HELLO)

    assert [each.id for each in client.chat.completions.list()] == [kept.id]
    assert client.chat.completions.retrieve(kept.id).choices[0].message.content == "kept"
    assert [each.id for each in client.chat.completions.list(metadata={"run": "2"})] == []
    client.chat.completions.update(kept.id, metadata={"run": "2"})
    assert [each.id for each in client.chat.completions.list(metadata={"run": "2"})] == [kept.id]
    assert [each.content for each in client.chat.completions.messages.list(kept.id)] == ["Hello"]
    assert client.chat.completions.delete(kept.id).deleted
    assert not StoredCompletion.objects.exists()


def test_a_streamed_completion_is_stored_when_it_is_whole(client, inference):
    inference.script = lambda body: say("one two")
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, store=True, stream=True))

    assert client.chat.completions.retrieve(chunks[0].id).choices[0].message.content == "one two"
