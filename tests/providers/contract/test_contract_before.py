"""Every adapter keeps its promises about what can be known before a job is sent."""

from typing import Any

from apps.providers.contracts import InferenceProvider
from apps.providers.registry import PROVIDERS, provider_class
from apps.providers.remote import DataFacts, RemoteRequest, RemoteTrainer
from tests.providers.contract.peer import Peer
from tests.providers.contract.steps import asked_for, every, those

# --- What it is ----------------------------------------------------------------------------------------------


@every
def test_it_is_in_the_registry_under_its_name(peer: Peer, adapter: RemoteTrainer):
    assert peer.name in PROVIDERS
    assert isinstance(adapter, provider_class(peer.name))
    assert isinstance(adapter, RemoteTrainer)
    assert isinstance(adapter, InferenceProvider)
    assert adapter.name == peer.name
    assert adapter.label


@every
def test_its_settings_can_be_shown_as_a_form(peer: Peer, adapter: RemoteTrainer):
    names = [setting.name for setting in adapter.settings]
    assert len(set(names)) == len(names)
    assert all(setting.label for setting in adapter.settings)
    assert all(not setting.default for setting in adapter.settings if setting.secret)
    assert all(setting.default in ("", *setting.choices) for setting in adapter.settings if setting.choices)


@every
def test_a_base_model_can_be_trained_towards_what_the_provider_offers(peer: Peer, adapter: RemoteTrainer):
    for objective in peer.objectives:
        support = adapter.support(peer.base_model, objective)
        assert support is not None
        assert support.data_format
        for number in support.numbers:
            assert number.low <= number.high, number.name
            assert number.usual is None or number.low <= number.usual <= number.high, number.name


# --- A live look ---------------------------------------------------------------------------------------------


@every
def test_a_look_says_that_all_is_well(peer: Peer, adapter: RemoteTrainer):
    seen = adapter.check()
    assert (seen.reachable, seen.authenticated) == (True, True), seen.message
    assert seen.message
    listed = [*(seen.trainable or ()), *(seen.served or ())]
    assert not listed or any(model.id == peer.base_model for model in listed)


@every
def test_a_look_with_a_wrong_key_says_so(peer: Peer):
    adapter = peer.adapter("wrong")
    seen = adapter.check()
    adapter.close()
    assert (seen.reachable, seen.authenticated) == (True, False), seen.message
    assert seen.message


@every
def test_a_look_where_no_one_answers_says_so(peer: Peer, adapter: RemoteTrainer):
    peer.stop()
    seen = adapter.check()
    assert (seen.reachable, seen.authenticated) == (False, None), seen.message
    assert seen.message


@those(lambda peer: peer.is_http)
def test_a_look_does_not_raise_when_the_provider_has_a_fault(peer: Peer, adapter: RemoteTrainer):
    peer.refuse_next(500, times=20)
    seen = adapter.check()
    assert seen.authenticated is not True
    assert seen.message


# --- Before anything is sent -----------------------------------------------------------------------------------


def problem_codes(adapter: RemoteTrainer, request: RemoteRequest, **facts: Any) -> set[str]:
    data = DataFacts(**{"rows": 1000, "validation_rows": 0, "bytes": 200_000, **facts})
    problems = adapter.validate(request, data)
    assert all(problem.message for problem in problems)
    return {problem.code for problem in problems}


@every
def test_nothing_is_wrong_with_a_plain_request(peer: Peer, adapter: RemoteTrainer):
    problems = adapter.validate(asked_for(peer, "file"), DataFacts(rows=1000, bytes=200_000))
    assert [problem for problem in problems if problem.severity == "error"] == []


@every
def test_limits_of_the_data_are_held(peer: Peer, adapter: RemoteTrainer):
    support = adapter.support(peer.base_model, "supervised")
    assert support is not None
    request = asked_for(peer, "file")
    held = {
        "too_few_rows": (support.fewest_rows > 0, {"rows": support.fewest_rows - 1}),
        "too_many_rows": (support.most_rows is not None, {"rows": (support.most_rows or 0) + 1}),
        "file_too_large": (support.most_bytes is not None, {"bytes": (support.most_bytes or 0) + 1}),
        "too_many_validation_rows": (
            support.most_validation_rows is not None,
            {"validation_rows": (support.most_validation_rows or 0) + 1},
        ),
        "row_too_long": (
            support.most_tokens_a_row is not None,
            {"longest_row_tokens": (support.most_tokens_a_row or 0) + 1},
        ),
    }
    for code, (has_limit, facts) in held.items():
        assert (code in problem_codes(adapter, request, **facts)) == has_limit, code


@every
def test_hyperparameters_that_it_does_not_take_are_named(peer: Peer, adapter: RemoteTrainer):
    support = adapter.support(peer.base_model, "supervised")
    assert support is not None
    strange = asked_for(peer, "file", hyperparameters={"moonlight": 3.0})
    assert "unknown_hyperparameter" in problem_codes(adapter, strange)
    for number in support.numbers:
        above = asked_for(peer, "file", hyperparameters={number.name: number.high * 10 + 1})
        found = adapter.validate(above, DataFacts(rows=1000))
        assert any(entry.code == "hyperparameter_out_of_range" for entry in found), number.name
        assert any(entry.field == number.name for entry in found), number.name


@those(lambda peer: peer.knows_models)
def test_a_model_that_does_not_exist_is_named(peer: Peer, adapter: RemoteTrainer):
    request = asked_for(peer, "file", base_model="no-such-model-9b")
    assert "unknown_model" in problem_codes(adapter, request)
