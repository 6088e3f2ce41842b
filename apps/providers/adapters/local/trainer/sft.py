"""Supervised training: TRL's SFTTrainer with this program's data, validation and checkpoints."""

from typing import Any

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from apps.providers.adapters.local.trainer.data import TokenRows
from apps.providers.adapters.local.trainer.duties import RunTrainer


def supervised_arguments(**common: Any) -> SFTConfig:
    return SFTConfig(dataset_kwargs={"skip_prepare_dataset": True}, **common)


def as_dataset(rows: TokenRows) -> Dataset:
    return Dataset.from_dict({"input_ids": rows.input_ids, "labels": rows.labels})


class SupervisedTrainer(RunTrainer, SFTTrainer):  # type: ignore[misc]
    """Validation loss is the mean over all trained tokens of the validation rows."""

    def __init__(self, *, validation_rows: TokenRows | None, **options: Any) -> None:
        self._validation = validation_rows
        super().__init__(validation_lengths=validation_rows.lengths if validation_rows else [], **options)

    def validate(self) -> dict[str, float]:
        """Mean loss and accuracy over the trained tokens of all validation rows."""
        assert self._validation is not None
        totals = torch.zeros(3, dtype=torch.float64, device="cpu")
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in self._batches:
                self.check_stop()
                rows = [
                    {"input_ids": self._validation.input_ids[index], "labels": self._validation.labels[index]}
                    for index in batch
                ]
                inputs = self._prepare_inputs(self.data_collator(rows))
                outputs = self.model(**inputs, use_cache=False, fused_lm_head=True)
                sums = (-outputs.log_probs.sum(), outputs.is_top1.sum(), outputs.label_mask.sum())
                totals += torch.stack([value.double().cpu() for value in sums])
        self.model.train()
        loss, correct, tokens = totals.tolist()
        return {"eval_loss": loss / tokens, "eval_token_accuracy": correct / tokens}
