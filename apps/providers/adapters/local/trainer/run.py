"""One training run from the job file to the result directory."""

import contextlib
import math
from pathlib import Path
from typing import Any

from transformers.utils import logging as transformers_logging

from apps.providers.adapters.local.trainer.callbacks import Reporter
from apps.providers.adapters.local.trainer.checkpoints import Checkpoints, Progress
from apps.providers.adapters.local.trainer.data import TokenRows, tokenise
from apps.providers.adapters.local.trainer.dpo import PreferenceTrainer, as_pair_dataset, preference_arguments
from apps.providers.adapters.local.trainer.duties import RunTrainer, common_arguments
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.adapters.local.trainer.model import (
    check_directory,
    checkpoints_activations,
    choose_hardware,
    environment,
    load_model,
    load_tokenizer,
    lora_config,
)
from apps.providers.adapters.local.trainer.pairs import PairRows, tokenise_pairs
from apps.providers.adapters.local.trainer.sft import SupervisedTrainer, as_dataset, supervised_arguments
from apps.providers.jobdirs.errors import StopRequested, TrainingFailed
from apps.providers.jobdirs.events import EventLog
from apps.providers.jobdirs.stopping import StopSignal

AnyRows = TokenRows | PairRows

AUTOMATIC_EVALUATIONS = 10
# Validation keeps no gradients, so it fits more rows at once than training.
VALIDATION_BATCH = 32


class Run:
    """`execute` ends with a result event, a stopped event, or an exception that says why neither came."""

    def __init__(self, job: Job, job_dir: Path, events: EventLog, stop: StopSignal) -> None:
        self._job = job
        self._job_dir = job_dir
        self._events = events
        self._stop = stop
        self._checkpoints = Checkpoints(job_dir, keep=job.save_total_limit)
        self._resumed = self._checkpoints.newest() if job.resume else None
        self._progress = self._resumed or Progress()
        self._resumed_step = self._progress.step if self._resumed else None

    def execute(self) -> None:
        transformers_logging.disable_progress_bar()
        if self._resumed is None:
            self._checkpoints.clear()
        self._checkpoints.remove_incomplete()
        check_directory(self._job)
        tokenizer, chats = load_tokenizer(self._job)
        hardware = choose_hardware()
        self._events.emit("environment", **environment(hardware, self._job.seed))
        self._events.emit("phase", phase="preparing")
        train, validation = self._rows(chats)
        model = load_model(self._job, hardware)
        self._steps, self._epoch_steps = count_steps(self._job, len(train))
        trainer = self._build(model, tokenizer, train, validation, hardware)
        reporter = self._report(trainer, validates=validation is not None)
        self._events.emit("plan", **self._plan(trainer, train, validation))
        self._train(trainer, reporter)
        if self._stop.requested:
            self._save_and_stop(trainer, reporter)
        else:
            self._publish(reporter)

    def _rows(self, chats: Any) -> tuple[AnyRows, AnyRows | None]:
        job = self._job
        train = self._tokenise(job.train_file, chats)
        return train, None if job.validation_file is None else self._tokenise(job.validation_file, chats)

    def _tokenise(self, name: str, chats: Any) -> AnyRows:
        read = tokenise_pairs if self._job.objective == "dpo" else tokenise
        rows: AnyRows = read(self._job_dir / name, chats, self._job)
        check_rows(name, rows, self._job.max_length)
        return rows

    def _build(
        self, model: Any, tokenizer: Any, train: AnyRows, validation: AnyRows | None, hardware: Any
    ) -> RunTrainer:
        job = self._job
        common = common_arguments(
            job,
            directory=str(self._checkpoints.directory),
            hardware=hardware,
            save_activations=checkpoints_activations(model, hardware),
            interval=job.evaluation_steps or max(1, math.ceil(self._steps / AUTOMATIC_EVALUATIONS)),
            validates=validation is not None,
        )
        options = {
            "model": model,
            "processing_class": tokenizer,
            "peft_config": lora_config(job),
            "validation_rows": validation,
            "validation_batch": max(job.batch_size, VALIDATION_BATCH),
            "checkpoints": self._checkpoints,
            "progress": self._progress,
            "stop": self._stop,
        }
        try:
            if isinstance(train, PairRows):
                return PreferenceTrainer(
                    args=preference_arguments(job, **common),
                    rows=train,
                    tell=lambda text: self._events.emit("message", level="info", text=text),
                    train_dataset=as_pair_dataset(train),
                    eval_dataset=as_pair_dataset(validation) if isinstance(validation, PairRows) else None,
                    **options,
                )
            return SupervisedTrainer(
                args=supervised_arguments(**common),
                train_dataset=as_dataset(train),
                eval_dataset=as_dataset(validation) if isinstance(validation, TokenRows) else None,
                **options,
            )
        except ValueError as error:
            if "arget modules" in str(error) or "lm_head" in str(error):
                raise TrainingFailed(
                    "bad_target_modules", f"LoRA can't be put on these modules: {error}"
                ) from error
            raise

    def _report(self, trainer: RunTrainer, *, validates: bool) -> Reporter:
        reporter = Reporter(
            trainer=trainer,
            events=self._events,
            checkpoints=self._checkpoints,
            progress=self._progress,
            stop=self._stop,
            validates=validates,
            patience=self._job.early_stopping_patience,
        )
        trainer.use_only(reporter)
        return reporter

    def _plan(self, trainer: RunTrainer, train: AnyRows, validation: AnyRows | None) -> dict[str, Any]:
        """What the run will do. Tokens are those of one pass over the training rows."""
        unpaired = {"unpaired_rows": train.unpaired} if isinstance(train, PairRows) else {}
        parameters = [(item.numel(), item.requires_grad) for item in trainer.model.parameters()]
        return {
            "examples": len(train),
            "validation_examples": len(validation) if validation is not None else 0,
            "tokens": train.tokens,
            "trained_tokens": train.trained_tokens,
            "steps": self._steps,
            "steps_per_epoch": self._epoch_steps,
            "evaluation_steps": int(trainer.args.eval_steps),
            "parameters": sum(count for count, _ in parameters),
            "trainable_parameters": sum(count for count, trained in parameters if trained),
            "dropped_rows": train.dropped,
            "truncated_rows": train.truncated,
            "rows_without_tools": train.without_tools,
            "rows_without_calls": train.without_calls,
            "validation_dropped_rows": validation.dropped if validation is not None else 0,
            "validation_truncated_rows": validation.truncated if validation is not None else 0,
            "resumed_from_step": self._resumed_step,
            **unpaired,
        }

    def _train(self, trainer: RunTrainer, reporter: Reporter) -> None:
        self._events.emit("phase", phase="training")
        self._stop.immediate = False
        if self._is_trained():
            return
        resume = str(self._checkpoints.path(self._resumed_step)) if self._resumed_step else None
        # A stop request comes out of a validation, between two steps: there is something to save.
        with contextlib.suppress(StopRequested):
            trainer.train(resume_from_checkpoint=resume)

    def _is_trained(self) -> bool:
        """Whether an earlier process did all the steps and was lost before it could publish the result."""
        patience = self._job.early_stopping_patience
        gave_up = patience is not None and self._progress.without_improvement >= patience
        return self._resumed_step is not None and (self._resumed_step >= self._steps or gave_up)

    def _save_and_stop(self, trainer: RunTrainer, reporter: Reporter) -> None:
        step = trainer.state.global_step
        if step and not self._checkpoints.is_complete(step):
            trainer.save_now()
            reporter.report_checkpoint(step)
        path = self._checkpoints.relative(step) if step else None
        self._events.emit("stopped", step=step, path=path, reason=self._stop.reason)

    def _publish(self, reporter: Reporter) -> None:
        """The result is the checkpoint of the lowest validation loss, or the last one if nothing validated."""
        self._events.emit("phase", phase="saving")
        progress = self._progress
        path = self._checkpoints.publish(progress.step if progress.best_step is None else progress.best_step)
        self._events.emit(
            "result",
            path=path,
            kind="adapter" if self._job.method == "lora" else "full",
            best_step=progress.best_step,
            validation_loss=progress.best_loss,
            steps=progress.step,
            stopped_early=reporter.stopped_early,
        )
        self._events.emit("phase", phase="finished")


def check_rows(name: str, rows: AnyRows, max_length: int) -> None:
    """TrainingFailed when a file leaves nothing to work with."""
    if len(rows):
        return
    if isinstance(rows, PairRows) and (rows.dropped or rows.unpaired):
        raise TrainingFailed(
            "no_pairs",
            f"No row of {name} is a preference pair to learn from: {rows.unpaired} have no rejected answer, and "
            f"{rows.dropped} are longer than {max_length} tokens, or their two answers are the same.",
        )
    if rows.dropped:
        raise TrainingFailed(
            "no_trainable_token",
            f"All {rows.dropped} rows of {name} had to be left out: they are longer than {max_length} tokens, or "
            "hold no assistant message to learn from.",
        )
    raise TrainingFailed("dataset_empty", f"The file {name} holds no rows.")


def count_steps(job: Job, examples: int) -> tuple[int, int]:
    """Optimizer steps of the run and of one epoch, counted as transformers counts them."""
    batches = math.ceil(examples / job.batch_size)
    epoch = max(1, math.ceil(batches / job.gradient_accumulation))
    return job.max_steps or math.ceil(job.epochs * epoch), epoch
