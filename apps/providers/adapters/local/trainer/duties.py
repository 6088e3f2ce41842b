"""What a run needs of TRL's trainers, whatever they learn from."""

import time
from typing import Any

from transformers import PrinterCallback, Trainer, TrainerCallback

from apps.providers.adapters.local.trainer.checkpoints import Checkpoints, Progress
from apps.providers.adapters.local.trainer.data import batches_by_length
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.adapters.local.trainer.model import Hardware
from apps.providers.jobdirs.errors import StopRequested
from apps.providers.jobdirs.stopping import StopSignal

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def common_arguments(
    job: Job, *, directory: str, hardware: Hardware, save_activations: bool, interval: int, validates: bool
) -> dict[str, Any]:
    """The job in the words of TRL's configurations. Nothing is reported anywhere else, and rows come tokenised."""
    return {
        "output_dir": directory,
        "num_train_epochs": job.epochs,
        "max_steps": job.max_steps or -1,
        "per_device_train_batch_size": job.batch_size,
        "gradient_accumulation_steps": job.gradient_accumulation,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": SCHEDULERS[job.scheduler],
        "warmup_steps": job.warmup_ratio,
        "weight_decay": job.weight_decay,
        "max_grad_norm": job.max_grad_norm,
        "seed": job.seed,
        "data_seed": job.seed,
        "bf16": hardware.autocast,
        "use_cpu": hardware.device == "cpu",
        "activation_checkpointing": save_activations,
        "gradient_checkpointing": None,
        "dataloader_pin_memory": hardware.device == "cuda",
        "logging_strategy": "steps",
        "logging_steps": job.logging_steps,
        "logging_nan_inf_filter": False,
        "eval_strategy": "steps" if validates else "no",
        "eval_steps": interval,
        "save_strategy": "steps",
        "save_steps": interval,
        "save_total_limit": None,
        "report_to": "none",
        "disable_tqdm": True,
        "max_length": None,
    }


class RunTrainer(Trainer):  # type: ignore[misc]
    """Differs from TRL's trainers in three ways.

    Validation is over all validation rows at once, not a mean of batch means, so it does not depend on the batch
    size; `validate` says how. A checkpoint counts only once it is marked complete. Time spent in either is kept
    apart, so that tokens per second speak of training alone.
    """

    def __init__(
        self,
        *,
        validation_lengths: list[int],
        validation_batch: int,
        checkpoints: Checkpoints,
        progress: Progress,
        stop: StopSignal,
        **options: Any,
    ) -> None:
        self._batches = batches_by_length(validation_lengths, validation_batch)
        self._checkpoints = checkpoints
        self._progress = progress
        self._tokens_before = progress.tokens
        self._stop = stop
        self.seconds_aside = 0.0
        super().__init__(**options)

    def validate(self) -> dict[str, float]:
        """Measurements over all validation rows: eval_loss, eval_token_accuracy and what else the objective has."""
        raise NotImplementedError

    def check_stop(self) -> None:
        if self._stop.requested:
            raise StopRequested

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        started = time.perf_counter()
        metrics = self.validate()
        seconds = time.perf_counter() - started
        self.seconds_aside += seconds
        metrics["eval_seconds"] = seconds
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        started = time.perf_counter()
        # TRL's would write a model card besides, and every past log line into each checkpoint.
        self.state.log_history.clear()
        Trainer._save_checkpoint(self, model, trial)
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
        self.remove_callback(PrinterCallback)
        self.add_callback(callback)
