"""Preference training: TRL's DPOTrainer with this program's data, validation and checkpoints.

The model that training starts from is the reference. Its log-probabilities of all answers are computed once, before
the first step, with the adapter off: no second model is held, and no step computes them again. A resumed run starts
from the same weights and computes them anew.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch.nn.functional import logsigmoid
from trl import DPOConfig, DPOTrainer

from apps.providers.adapters.local.trainer.data import IGNORED, batches_by_length
from apps.providers.adapters.local.trainer.duties import RunTrainer
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.adapters.local.trainer.pairs import PairRows

REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")
TELL_EVERY_SECONDS = 60.0
"""A watcher takes a long silence for a hang."""
COLUMNS = ("chosen_ids", "chosen_labels", "rejected_ids", "rejected_labels", *REFERENCE)


def preference_arguments(job: Job, **common: Any) -> DPOConfig:
    assert job.beta is not None
    return DPOConfig(
        beta=job.beta,
        precompute_ref_log_probs=True,
        # Noise in the policy alone would look like a difference to the reference: only if it was asked for.
        disable_dropout=job.lora is None or job.lora.dropout == 0,
        **common,
    )


def as_pair_dataset(rows: PairRows) -> Dataset:
    return Dataset.from_dict(
        {
            "chosen_ids": [ids for ids, _ in rows.chosen],
            "chosen_labels": [labels for _, labels in rows.chosen],
            "rejected_ids": [ids for ids, _ in rows.rejected],
            "rejected_labels": [labels for _, labels in rows.rejected],
        }
    )


@dataclass(frozen=True)
class PairCollator:
    """A batch as TRL's loss reads it: all preferred conversations, then all rejected ones.

    TRL's own collator takes an answer to be one piece at the end; this one takes the labels as they are.
    """

    padding: int

    def __call__(self, pairs: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        ids = [pair[f"{side}_ids"] for side in ("chosen", "rejected") for pair in pairs]
        labels = [pair[f"{side}_labels"] for side in ("chosen", "rejected") for pair in pairs]
        width = max(len(one) for one in ids)
        batch = {
            "input_ids": torch.tensor([one + [self.padding] * (width - len(one)) for one in ids]),
            "attention_mask": torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in ids]),
            "completion_mask": torch.tensor(
                [[int(label != IGNORED) for label in one] + [0] * (width - len(one)) for one in labels]
            ),
        }
        for name in REFERENCE:
            if name in pairs[0]:
                batch[name] = torch.tensor([pair[name] for pair in pairs])
        return batch


class PreferenceTrainer(RunTrainer, DPOTrainer):  # type: ignore[misc]
    """Validation loss is the mean over the validation pairs."""

    def __init__(
        self,
        *,
        rows: PairRows,
        validation_rows: PairRows | None,
        tell: Callable[[str], None],
        **options: Any,
    ) -> None:
        self._tell = tell
        self._lengths = {"train": rows.lengths, "eval": validation_rows.lengths if validation_rows else []}
        # Both conversations of a pair are in a batch.
        self._pairs_at_once = max(1, options.pop("validation_batch") // 2)
        super().__init__(
            validation_lengths=self._lengths["eval"],
            validation_batch=self._pairs_at_once,
            data_collator=PairCollator(options["processing_class"].pad_token_id),
            **options,
        )

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        """Rows come tokenised."""
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = list(COLUMNS)

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """In batches of similar length, interruptible, and without TRL's files on disk."""
        lengths = self._lengths[name]
        found = torch.zeros(2, len(lengths))
        self.model.eval()
        done, told_at = 0, time.monotonic()
        for batch in batches_by_length(lengths, self._pairs_at_once):
            self.check_stop()
            if time.monotonic() - told_at > TELL_EVERY_SECONDS:
                told_at = time.monotonic()
                self._tell(f"The reference has scored {done} of {len(lengths)} {name} pairs.")
            done += len(batch)
            inputs = self._prepare_inputs(self.data_collator([dataset[index] for index in batch]))
            both = self.compute_ref_log_probs(self.model, inputs)
            found[:, batch] = torch.stack([value.float().cpu() for value in both])
        for column, values in zip(REFERENCE, found.tolist(), strict=True):
            dataset = dataset.add_column(column, values)
        return dataset

    def validate(self) -> dict[str, float]:
        """The loss of the paper's equation 7, and how often and by how much the preferred answer has the higher
        reward. Token accuracy is that of the preferred answers."""
        sums = torch.zeros(3, dtype=torch.float64, device="cpu")
        tokens = torch.zeros(2, dtype=torch.float64, device="cpu")
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in self._batches:
                self.check_stop()
                inputs = self._prepare_inputs(self.data_collator([self.eval_dataset[i] for i in batch]))
                labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, IGNORED)
                outputs = self.model(
                    input_ids=inputs["input_ids"],
                    attention_mask=inputs["attention_mask"],
                    labels=labels,
                    use_cache=False,
                    fused_lm_head=True,
                )
                chosen, rejected = outputs.log_probs.sum(dim=1).chunk(2)
                margins = self.beta * (chosen - inputs[REFERENCE[0]] - rejected + inputs[REFERENCE[1]])
                sums += _summed(-logsigmoid(margins), margins > 0, margins)
                answers = (labels[:, 1:] != IGNORED).chunk(2)[0]
                tokens += _summed(outputs.is_top1.chunk(2)[0] & answers, answers)
        self.model.train()
        loss, accuracy, margin = (sums / len(self._lengths["eval"])).tolist()
        correct, answered = tokens.tolist()
        return {
            "eval_loss": loss,
            "eval_token_accuracy": correct / answered,
            "eval_reward_accuracy": accuracy,
            "eval_reward_margin": margin,
        }


def _summed(*values: torch.Tensor) -> torch.Tensor:
    return torch.stack([value.sum().double().cpu() for value in values])
