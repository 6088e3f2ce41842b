"""LLaMA-Factory at work: its trainer_log.jsonl as events.

It appends a line for every report of its trainer, as 0.9.5 writes them:
`{"current_steps": 3, "total_steps": 12, "loss": 3.21, "lr": 0.0002, "epoch": 0.5, "percentage": 25.0,
"elapsed_time": "0:00:01", "remaining_time": "0:00:04", "throughput": 812.3, "total_tokens": 1024}`; a validation has
`eval_loss` in place of `loss` and `lr`, and the summary at the end has neither.
"""

from collections.abc import Iterator
from pathlib import Path

from apps.providers.adapters.llama_factory.recipe import make_recipe
from apps.providers.launching.command import ToolCommand
from apps.providers.launching.job import LaunchJob
from apps.providers.launching.recipe import Recipe, RecipeRequest
from apps.providers.launching.tail import JsonLinesTail, number
from apps.providers.launching.tool import Told
from apps.providers.launching.trainer_tool import TrainerTool

LOG = "trainer_log.jsonl"


class LlamaFactory(TrainerTool):
    label = "LLaMA-Factory"
    package = "llamafactory"

    def __init__(self, job: LaunchJob, job_dir: Path, command: ToolCommand) -> None:
        super().__init__(job, job_dir, command)
        self._log = JsonLinesTail(self.output / LOG)

    def recipe(self, request: RecipeRequest) -> Recipe:
        return make_recipe(request)

    def forget(self) -> None:
        (self.output / LOG).unlink(missing_ok=True)

    def steps(self) -> Iterator[Told]:
        for line in self._log.read():
            step = line.get("current_steps")
            if not isinstance(step, int) or isinstance(step, bool):
                continue
            shared = {
                "step": step,
                "epoch": number(line.get("epoch")),
                "tokens": number(line.get("total_tokens")),
                "total_steps": line.get("total_steps"),
            }
            if "loss" in line:
                yield Told(
                    "metrics",
                    {
                        **shared,
                        "loss": number(line["loss"]),
                        "learning_rate": number(line.get("lr")),
                        "tokens_per_second": number(line.get("throughput")),
                    },
                )
            elif "eval_loss" in line:
                yield Told("evaluation", {**shared, "loss": number(line["eval_loss"])})
