"""Runs inside Axolotl, in its environment: a copy of this file lies in the job directory and is loaded as a plugin.

It writes what the trainer logs as JSON lines, because Axolotl keeps no record of its steps but its checkpoints.
"""

import json
import os
from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback


class Report(TrainerCallback):  # type: ignore[misc]
    """Appends a line for every report of the trainer."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not state.is_world_process_zero or not logs:
            return
        line = {"step": state.global_step, "total_steps": state.max_steps, "epoch": state.epoch}
        line |= {name: value for name, value in logs.items() if isinstance(value, (int, float, str))}
        with open(os.environ["FTPORTAL_AXOLOTL_REPORT"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


class Reporting(BasePlugin):  # type: ignore[misc]
    """What Axolotl loads."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [Report()]
