"""DPO as a program: pairs in, a model out that prefers what people preferred."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from apps.core.chat_tokens import ChatTokenizer
from apps.providers.adapters.local.adapter import LocalProvider
from apps.providers.adapters.local.trainer.data import IGNORED, tokenise
from apps.providers.adapters.local.trainer.pairs import tokenise_pairs
from apps.providers.jobdirs.errors import TrainingFailed
from tests.providers.conftest import end_of, events_of, wait_until, write_job
from tests.providers.test_trainer import run_here
from tests.providers.test_training_data import TWO_TURNS, job_for
from tests.providers.tiny import chat, colour_pairs, write_jsonl

pytestmark = pytest.mark.timeout(900)

BETA = 0.2
LN_2 = 0.6931
"""Rafailov et al. 2023, equation 7: while policy and reference are the same, the loss of every pair is -log(1/2)."""


def pair(question: str, chosen: str, rejected: str) -> dict[str, Any]:
    return {**chat(question, chosen), "rejected": [{"role": "assistant", "content": rejected}]}


def write_pairs(job_dir: Path, base: Path, **changes: Any) -> Path:
    """A job directory with 48 training and 16 validation pairs."""
    pairs = colour_pairs(64)
    options = {
        "objective": "dpo", "beta": BETA, "epochs": 6, "learning_rate": 2e-3, "evaluation_steps": 12,
        "logging_steps": 1,
    }  # fmt: skip
    write_job(job_dir, base, pairs[:48], **{**options, **changes})
    write_jsonl(job_dir / "validation.jsonl", pairs[48:])
    return job_dir


@pytest.fixture(scope="module")
def dpo_run(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Path:
    provider = LocalProvider()
    job_dir = write_pairs(tmp_path_factory.mktemp("jobs") / "dpo", base_model)
    provider.start(job_dir)
    end_of(job_dir, provider)
    return job_dir


def test_the_first_loss_is_that_of_a_policy_that_equals_its_reference(dpo_run: Path) -> None:
    first = events_of(dpo_run, "metrics")[0].data

    assert first["loss"] == pytest.approx(LN_2, abs=1e-4)
    assert first["reward_margin"] == pytest.approx(0, abs=1e-4)


def test_it_learns_to_prefer(dpo_run: Path) -> None:
    plan = events_of(dpo_run, "plan")[0].data
    metrics = [event.data for event in events_of(dpo_run, "metrics")]
    evaluations = [event.data for event in events_of(dpo_run, "evaluation")]
    result = events_of(dpo_run, "result")[0].data

    # 48 pairs in batches of 4 over 6 epochs.
    assert (plan["examples"], plan["validation_examples"], plan["unpaired_rows"]) == (48, 16, 0)
    assert len(metrics) == plan["steps"] == 72
    # Both conversations of a pair are counted.
    assert metrics[-1]["tokens"] == 6 * plan["tokens"]
    late = metrics[-12:]
    assert sum(row["loss"] for row in late) / 12 < LN_2 / 2
    assert sum(row["reward_accuracy"] for row in late) / 12 > 0.9
    assert sum(row["reward_margin"] for row in late) > 0
    assert [row["step"] for row in evaluations] == [12, 24, 36, 48, 60, 72]
    assert evaluations[-1]["loss"] < LN_2
    assert evaluations[-1]["reward_accuracy"] > 0.7
    assert result["kind"] == "adapter"
    best = min(evaluations, key=lambda row: row["loss"])
    assert (result["best_step"], result["validation_loss"]) == (best["step"], best["loss"])


def log_probability(model: Any, tokenizer: Any, messages: list[dict[str, Any]]) -> Any:
    import torch

    encoded = tokenizer.apply_chat_template(messages, return_assistant_tokens_mask=True)
    ids = torch.tensor([encoded["input_ids"]])
    mask = torch.tensor(encoded["assistant_masks"][1:], dtype=torch.bool)
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, :-1]
    chances = torch.log_softmax(logits.double(), dim=-1).gather(1, ids[0, 1:, None])[:, 0]
    return chances[mask].sum()


def test_the_validation_loss_is_equation_7_with_the_base_model_as_reference(
    dpo_run: Path, base_model: Path
) -> None:
    """Recomputed pair by pair with plain PyTorch: the published adapter against the base model as it lies on disk."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    result = events_of(dpo_run, "result")[0].data
    reference = AutoModelForCausalLM.from_pretrained(base_model)
    policy = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base_model), str(dpo_run / "result")
    )
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    margins = []
    for line in (dpo_run / "validation.jsonl").read_text().splitlines():
        row = json.loads(line)
        chosen, rejected = row["messages"], [*row["messages"][:-1], *row["rejected"]]
        ratio = [
            log_probability(policy, tokenizer, messages) - log_probability(reference, tokenizer, messages)
            for messages in (chosen, rejected)
        ]
        margins.append(BETA * (ratio[0] - ratio[1]))
    found = torch.stack(margins)
    evaluation = next(
        event.data for event in events_of(dpo_run, "evaluation") if event.data["step"] == result["best_step"]
    )

    loss = -torch.nn.functional.logsigmoid(found).mean().item()
    assert result["validation_loss"] == pytest.approx(loss, abs=1e-4)
    assert evaluation["reward_margin"] == pytest.approx(found.mean().item(), abs=1e-3)
    assert evaluation["reward_accuracy"] == pytest.approx((found > 0).double().mean().item())


def test_a_killed_run_resumes_to_the_same_end(tmp_path: Path, base_model: Path, dpo_run: Path) -> None:
    provider = LocalProvider()
    job_dir = write_pairs(tmp_path / "job", base_model)
    provider.start(job_dir)
    wait_until(lambda: events_of(job_dir, "checkpoint"))
    assert provider.kill(job_dir)
    end_of(job_dir, provider)

    write_pairs(job_dir, base_model, resume=True)
    provider.start(job_dir)
    end_of(job_dir, provider)

    whole, resumed = events_of(dpo_run, "result")[0].data, events_of(job_dir, "result")[0].data
    assert events_of(job_dir, "plan")[-1].data["resumed_from_step"] >= 12
    assert (resumed["steps"], resumed["best_step"]) == (whole["steps"], whole["best_step"])
    assert resumed["validation_loss"] == pytest.approx(whole["validation_loss"], abs=1e-3)
    assert (
        events_of(job_dir, "metrics")[-1].data["tokens"] == events_of(dpo_run, "metrics")[-1].data["tokens"]
    )


@pytest.mark.usefixtures("signals_restored")
def test_all_weights_can_be_trained_and_batches_gathered(tmp_path: Path, base_model: Path) -> None:
    """Gathered gradients change no loss; and here, too, the reference is the model before the first step."""
    before = {path.name: path.read_bytes() for path in base_model.iterdir()}
    job_dir = write_pairs(
        tmp_path / "job", base_model, method="full", lora=None, batch_size=2, gradient_accumulation=2, max_steps=8,
        learning_rate=1e-3, warmup_ratio=0.0, evaluation_steps=4,
    )  # fmt: skip

    outcome = run_here(job_dir)

    metrics = [event.data for event in events_of(job_dir, "metrics")]
    assert (outcome["exit"], events_of(job_dir, "result")[0].data["kind"]) == (0, "full")
    assert metrics[0]["loss"] == pytest.approx(LN_2, abs=1e-4)
    assert metrics[-1]["loss"] < LN_2
    assert events_of(job_dir, "plan")[0].data["steps"] == 8
    assert {path.name: path.read_bytes() for path in base_model.iterdir()} == before


@pytest.mark.usefixtures("signals_restored")
def test_a_file_without_pairs_is_refused(tmp_path: Path, base_model: Path) -> None:
    job_dir = write_job(tmp_path / "job", base_model, [chat("Which?", "red")] * 3, objective="dpo", beta=0.1)

    outcome = run_here(job_dir)

    assert (outcome["type"], outcome["code"]) == ("failed", "no_pairs")
    assert "3 have no rejected answer" in outcome["message"]


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize("beta", [None, 0, 2.5])
def test_beta_has_limits(tmp_path: Path, base_model: Path, beta: float | None) -> None:
    outcome = run_here(write_pairs(tmp_path / "job", base_model, beta=beta))

    assert (outcome["type"], outcome["code"]) == ("failed", "bad_job")


# --- Tokens ---------------------------------------------------------------------------------------------------------


def test_both_conversations_are_what_supervised_training_would_see(tmp_path: Path, base_model: Path) -> None:
    rows = [
        pair("Which colour?", "red", "blue"),
        {**TWO_TURNS, "rejected": [{"role": "assistant", "content": "blue and green"}]},
    ]
    sides = [rows, [{"messages": [*row["messages"][:-1], *row["rejected"]]} for row in rows]]
    chats, job = ChatTokenizer.from_directory(base_model), job_for(base_model)
    tokenizer = AutoTokenizer.from_pretrained(base_model)

    pairs = tokenise_pairs(write_jsonl(tmp_path / "pairs.jsonl", rows), chats, job)

    for name, side, found in zip(("a", "b"), sides, (pairs.chosen, pairs.rejected), strict=True):
        supervised = tokenise(write_jsonl(tmp_path / f"{name}.jsonl", side), chats, job)
        assert [ids for ids, _ in found] == supervised.input_ids
    # The first answer of the second conversation is context here; the stop token is the answer's.
    trained = [
        [tokenizer.decode([label for label in labels if label != IGNORED]) for _, labels in side]
        for side in (pairs.chosen, pairs.rejected)
    ]
    assert trained == [["red<|im_end|>", "blue<|im_end|>"], ["blue<|im_end|>", "blue and green<|im_end|>"]]
    assert pairs.tokens == sum(len(ids) for side in (pairs.chosen, pairs.rejected) for ids, _ in side)
    assert pairs.trained_tokens == sum(
        label != IGNORED for side in (pairs.chosen, pairs.rejected) for _, labels in side for label in labels
    )


def test_rows_that_teach_nothing_are_left_out_and_counted(tmp_path: Path, base_model: Path) -> None:
    rows = [
        pair("Which?", "red", "blue"),
        chat("No pair", "red"),
        {**chat("No pair either", "red"), "rejected": "blue"},
        pair("The same", "red", "red"),
        pair("Long", "red", "word " * 100),
    ]
    path, chats = write_jsonl(tmp_path / "pairs.jsonl", rows), ChatTokenizer.from_directory(base_model)

    dropped = tokenise_pairs(path, chats, job_for(base_model, too_long="drop"))
    truncated = tokenise_pairs(path, chats, job_for(base_model, too_long="truncate"))

    assert (len(dropped), dropped.unpaired, dropped.dropped, dropped.truncated) == (1, 2, 2, 0)
    assert (len(truncated), truncated.unpaired, truncated.dropped, truncated.truncated) == (2, 2, 1, 1)
    assert len(truncated.rejected[1][0]) == 128
    with pytest.raises(TrainingFailed) as refused:
        tokenise_pairs(path, chats, job_for(base_model, too_long="refuse"))
    assert refused.value.code == "too_long"
    assert "is row 5 with" in refused.value.message
