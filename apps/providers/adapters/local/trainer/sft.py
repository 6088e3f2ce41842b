"""TRL's SFTTrainer with this program's data, validation and checkpoints."""

import time
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from apps.providers.adapters.local.trainer.checkpoints import Checkpoints, Progress
from apps.providers.adapters.local.trainer.data import TokenRows, batches_by_length
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.adapters.local.trainer.model import Hardware
from apps.providers.jobdirs.errors import StopRequested
from apps.providers.jobdirs.stopping import StopSignal

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
NEVER = 2**31


def training_arguments(
    job: Job, *, directory: str, hardware: Hardware, save_activations: bool, interval: int, validates: bool
) -> SFTConfig:
    """The job in TRL's words. Nothing is reported anywhere else, and rows come tokenised."""
    return SFTConfig(
        output_dir=directory,
        num_train_epochs=job.epochs,
        max_steps=job.max_steps or -1,
        per_device_train_batch_size=job.batch_size,
        gradient_accumulation_steps=job.gradient_accumulation,
        learning_rate=job.learning_rate,
        lr_scheduler_type=SCHEDULERS[job.scheduler],
        warmup_steps=job.warmup_ratio,
        weight_decay=job.weight_decay,
        max_grad_norm=job.max_grad_norm,
        seed=job.seed,
        data_seed=job.seed,
        bf16=hardware.autocast,
        use_cpu=hardware.device == "cpu",
        activation_checkpointing=save_activations,
        gradient_checkpointing=None,
        dataloader_pin_memory=hardware.device == "cuda",
        logging_strategy="steps",
        logging_steps=job.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if validates else "no",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=None,
        report_to="none",
        disable_tqdm=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def as_dataset(rows: TokenRows) -> Dataset:
    return Dataset.from_dict({"input_ids": rows.input_ids, "labels": rows.labels})


class PortalTrainer(SFTTrainer):  # type: ignore[misc]
    """Differs from its base in three ways.

    Validation loss is the mean over all trained tokens of the validation rows, not a mean of batch means, so
    it does not depend on the batch size. A checkpoint counts only once it is marked complete. Time spent in
    either is kept apart, so that tokens per second speak of training alone.
    """

    def __init__(
        self,
        *,
        validation_rows: TokenRows | None,
        validation_batch: int,
        checkpoints: Checkpoints,
        progress: Progress,
        stop: StopSignal,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._validation = validation_rows
        self._batches = batches_by_length(validation_rows, validation_batch) if validation_rows else []
        self._checkpoints = checkpoints
        self._progress = progress
        self._tokens_before = progress.tokens
        self._stop = stop
        self.seconds_aside = 0.0

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        started = time.perf_counter()
        loss, accuracy = self._validate()
        seconds = time.perf_counter() - started
        self.seconds_aside += seconds
        metrics = {"eval_loss": loss, "eval_token_accuracy": accuracy, "eval_seconds": seconds}
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _validate(self) -> tuple[float, float]:
        """Mean loss and accuracy over the trained tokens of all validation rows."""
        assert self._validation is not None
        totals = torch.zeros(3, dtype=torch.float64, device="cpu")
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in self._batches:
                if self._stop.requested:
                    raise StopRequested
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
        return loss / tokens, correct / tokens

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        started = time.perf_counter()
        # The base class would write a model card besides, and every past log line into each checkpoint.
        self.state.log_history.clear()
        super(SFTTrainer, self)._save_checkpoint(model, trial)
        self._progress.step = self.state.global_step
        self.count_tokens()
        self._checkpoints.complete(self._progress)
        self.seconds_aside += time.perf_counter() - started

    def count_tokens(self) -> int:
        """Tokens seen since the job began, without padding, over all its runs."""
        self._progress.tokens = self._tokens_before + int(self._total_train_tokens)
        return self._progress.tokens

    def save_now(self) -> None:
        """A checkpoint of where the run stands between two steps, unless there is one or nothing was learned."""
        step = self.state.global_step
        if step > 0 and not self._checkpoints.is_complete(step):
            self._save_checkpoint(self.model, None)

    def use_only(self, callback: TrainerCallback) -> None:
        """Put the library's own printing callback out, and this one in."""
        from transformers import PrinterCallback

        self.remove_callback(PrinterCallback)
        self.add_callback(callback)
