"""The inference program over real HTTP, with transformers' own generation as the second opinion."""

import hashlib
import io
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.core.chat_tokens import Chat
from apps.providers.adapters.local.client import InferenceClient
from apps.providers.adapters.local.inference.errors import InferenceError
from apps.providers.adapters.local.inference.scheduler import MAX_BATCH, Waiting, Work, choose_batch
from apps.providers.adapters.local.inference.store import ModelStore
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from tests.providers.conftest import Adapter, Server, serving
from tests.providers.tiny import colour_chats

pytestmark = pytest.mark.timeout(900)


def questions(count: int) -> list[list[dict[str, Any]]]:
    """Prompts with a shared system message and lengths that differ."""
    chats = [row["messages"][:2] for row in colour_chats(count)]
    for index, messages in enumerate(chats):
        messages[1]["content"] += " please" * (index % 5)
    return chats


def ask(
    client: InferenceClient, messages: list[dict[str, Any]], model: ModelReference, **options: Any
) -> ChatReply:
    return client.chat(ChatRequest(model=model, messages=messages, **{"max_tokens": 12, **options}))


def generate_alone(model: Any, tokenizer: Any, messages: list[dict[str, Any]], max_tokens: int) -> str:
    import torch

    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")[
        "input_ids"
    ]
    output = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False
    )
    text: str = tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
    return text


def test_answers_in_batches_are_those_of_transformers_one_by_one(
    server: Server, base_model: Path, adapter: Adapter
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    server.client.ensure_model(adapter.sha256, lambda: adapter.tar.open("rb"))
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    plain = AutoModelForCausalLM.from_pretrained(base_model).eval()
    base = ModelReference(kind="base", base=str(base_model))
    tuned = ModelReference(kind="adapter", base=str(base_model), artifact_sha256=adapter.sha256)
    prompts = questions(24)
    jobs = [(messages, model) for messages in prompts for model in (base, tuned)]

    # Both models at once and mixed, so that the adapter is put on and taken off in between.
    with ThreadPoolExecutor(len(jobs)) as pool:
        replies = list(pool.map(lambda job: ask(server.client, *job), jobs))

    expected_base = [generate_alone(plain, tokenizer, messages, 12) for messages in prompts]
    with_adapter = PeftModel.from_pretrained(plain, str(adapter.path)).eval()
    expected_tuned = [generate_alone(with_adapter, tokenizer, messages, 12) for messages in prompts]
    assert [reply.text for reply in replies[0::2]] == expected_base
    assert [reply.text for reply in replies[1::2]] == expected_tuned
    assert expected_base != expected_tuned
    labels = server.client.health()["loaded"]
    assert any(adapter.sha256 in label for label in labels)
    assert str(base_model) in labels


def hub_cache(home: Path, repository: str, revisions: dict[str, Path]) -> None:
    """Lay model directories out as the Hugging Face cache keeps what it has downloaded."""
    snapshots = home / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots"
    for commit, directory in revisions.items():
        shutil.copytree(directory, snapshots / commit)


def test_a_hub_model_answers_with_the_weights_of_its_pinned_commit(tmp_path: Path, base_model: Path) -> None:
    from safetensors.torch import load_file, save_file

    later = tmp_path / "later"
    shutil.copytree(base_model, later)
    weights = load_file(later / "model.safetensors")
    weights["model.norm.weight"] *= -1
    save_file(weights, later / "model.safetensors", metadata={"format": "pt"})
    hub_cache(tmp_path / "hf", "team/tiny", {"1" * 40: base_model, "2" * 40: later})
    messages = questions(1)[0]

    with serving(tmp_path, HF_HOME=str(tmp_path / "hf"), HF_HUB_OFFLINE="1") as server:
        local = [ask(server.client, messages, ModelReference(base=str(path))) for path in (base_model, later)]
        pinned = [
            ask(server.client, messages, ModelReference(base="team/tiny", base_revision=commit * 40))
            for commit in ("1", "2")
        ]

    assert [reply.text for reply in pinned] == [reply.text for reply in local]
    assert local[0].text != local[1].text


def test_usage_times_and_finish_reasons_are_told(server: Server, base_model: Path) -> None:
    from transformers import AutoTokenizer

    messages = questions(1)[0]
    reply = ask(server.client, messages, ModelReference(base=str(base_model)), max_tokens=3)

    tokenizer = AutoTokenizer.from_pretrained(base_model)
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (len(ids), 3)
    assert reply.finish_reason == "length"
    assert reply.compute is not None
    assert reply.queue is not None
    assert 0 < reply.compute <= reply.latency
    assert 0 <= reply.queue < reply.latency


def test_an_answer_ends_before_a_stop_string(server: Server, base_model: Path) -> None:
    model = ModelReference(base=str(base_model))
    whole = ask(server.client, questions(1)[0], model).text
    stop = whole[4:6]

    cut = ask(server.client, questions(1)[0], model, stop=(stop,))

    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


def test_sampling_with_a_seed_does_not_depend_on_the_company(server: Server, base_model: Path) -> None:
    model = ModelReference(base=str(base_model))
    prompts = questions(8)
    sampled = {"temperature": 1.0, "top_p": 0.9}

    alone = [
        ask(server.client, messages, model, seed=index, **sampled) for index, messages in enumerate(prompts)
    ]
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(lambda index: ask(server.client, prompts[index], model, seed=index, **sampled), range(8))
        )
    other = ask(server.client, prompts[0], model, seed=99, **sampled)

    assert [reply.text for reply in together] == [reply.text for reply in alone]
    assert other.text != alone[0].text


def test_strangers_are_turned_away(server: Server) -> None:
    for token in (None, "a wrong token"):
        stranger = InferenceClient(socket=server.socket, token=token)
        for call in (
            stranger.health,
            lambda: stranger.has_model("0" * 64),  # noqa: B023
            lambda: ask(stranger, questions(1)[0], ModelReference(base="x")),  # noqa: B023
        ):
            with pytest.raises(ProviderRejectedError) as refusal:
                call()
            assert refusal.value.raw.get("status", 401) == 401
        stranger.close()


def test_a_missing_program_is_unavailable_and_retryable(tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailableError) as failure:
        InferenceClient(socket=tmp_path / "nothing").health()

    assert failure.value.retryable
    assert failure.value.code == "unreachable"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"kind": "base", "base": "/nowhere/model"}, "model_missing"),
        ({"kind": "base"}, "no_base"),
        ({"kind": "adapter", "base": "/nowhere/model", "artifact_sha256": "0" * 64}, "model_missing"),
        ({"kind": "full", "artifact_sha256": "../../etc"}, "bad_digest"),
    ],
)
def test_models_that_are_not_there_are_refused(server: Server, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ProviderRejectedError) as refusal:
        ask(server.client, questions(1)[0], ModelReference(**fields))

    assert refusal.value.code == code


def test_a_prompt_beyond_the_context_is_refused_and_others_go_on(server: Server, base_model: Path) -> None:
    model = ModelReference(base=str(base_model))
    long = [{"role": "user", "content": "word " * 1200}]

    with ThreadPoolExecutor(4) as pool:
        refused = pool.submit(ask, server.client, long, model)
        fine = [pool.submit(ask, server.client, messages, model) for messages in questions(3)]
        texts = [reply.result().text for reply in fine]
        with pytest.raises(ProviderRejectedError) as refusal:
            refused.result()

    assert refusal.value.code == "too_long"
    assert all(texts)


def upload(server: Server, data: bytes, sha256: str | None = None) -> None:
    server.client.ensure_model(sha256 or hashlib.sha256(data).hexdigest(), lambda: io.BytesIO(data))


def tar_with(name: str, content: bytes, link: str | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        if link is not None:
            member.type, member.linkname = tarfile.SYMTYPE, link
        tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "sha256", "code"),
    [
        (tar_with("../../escape.json", b"x"), None, "unsafe_archive"),
        (tar_with("link.json", b"", "/etc/passwd"), None, "unsafe_archive"),
        (tar_with("model.bin", b"pickle"), None, "unsafe_archive"),
        (tar_with("model.safetensors", b"x"), "0" * 64, "wrong_digest"),
        (b"no tar", None, "bad_archive"),
        (tar_with("model.safetensors", b"0" * (9 * 1024 * 1024)), None, "too_large"),
    ],
)
def test_bad_uploads_leave_nothing_behind(server: Server, data: bytes, sha256: str | None, code: str) -> None:
    before = sorted(path.name for path in server.cache.rglob("*"))

    with pytest.raises(ProviderRejectedError) as refusal:
        upload(server, data, sha256)

    assert refusal.value.code == code
    assert sorted(path.name for path in server.cache.rglob("*")) == before


def test_models_are_freed_over_the_budget_and_when_idle(tmp_path: Path, base_model: Path) -> None:
    from apps.providers.adapters.local.inference.models import LoadedModels, ModelKey

    second = tmp_path / "second"
    second.mkdir()
    for path in base_model.iterdir():
        (second / path.name).write_bytes(path.read_bytes())
    store = ModelStore(tmp_path / "cache", limit_bytes=1)
    models = LoadedModels(store, budget_bytes=1, idle_seconds=3600)

    models.generator(ModelKey("base", str(base_model), None))
    assert models.labels() == [str(base_model)]
    models.generator(ModelKey("base", str(second), None))
    assert models.labels() == [str(second)]
    models.free_idle()
    assert models.labels() == [str(second)]

    impatient = LoadedModels(store, budget_bytes=10**9, idle_seconds=0)
    impatient.generator(ModelKey("base", str(base_model), None))
    impatient.free_idle()
    assert impatient.labels() == []
    assert impatient.bytes() == 0


def test_the_adapter_used_longest_ago_goes_first(tmp_path: Path, base_model: Path, adapter: Adapter) -> None:
    from apps.providers.adapters.local.inference.models import LoadedModels, ModelKey

    names = ["a" * 64, "b" * 64]
    store = ModelStore(tmp_path / "cache", limit_bytes=1)
    for name in names:
        copy = tmp_path / "cache" / "models" / name
        copy.mkdir()
        for path in adapter.path.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
    models = LoadedModels(store, budget_bytes=1, idle_seconds=3600)

    for name in names:
        models.generator(ModelKey("adapter", str(base_model), name))

    assert models.labels() == [f"{base_model} + {names[1]}"]
    with pytest.raises(InferenceError) as refusal:
        models.generator(ModelKey("full", None, names[0]))
    assert refusal.value.code == "wrong_kind"


def waiting_with(length: int) -> Waiting:
    return Waiting(
        Work(kind="base", base="x", sha256=None),
        Chat([]),
        1,
        None,
        (),
        ids=(0,) * length,
    )


def test_a_batch_is_the_oldest_request_with_those_of_similar_length() -> None:
    group = [waiting_with(length) for length in [100, *range(1, 400)]]

    batch = choose_batch(group)

    lengths = sorted(len(item.ids) for item in batch)
    assert group[0] in batch
    assert len(batch) == MAX_BATCH
    assert 60 < lengths[0] < 100 < lengths[-1] < 140


def test_a_batch_of_very_long_prompts_is_small() -> None:
    batch = choose_batch([waiting_with(30_000) for _ in range(10)])

    assert len(batch) == 2
