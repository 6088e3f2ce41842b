"""Pre-trains the tiny model on a CPU, from scratch, in one run that can be stopped and resumed.

    python -m demo.tiny_model.pretrain --work var/tiny --minutes 50
    python -m demo.tiny_model.pretrain --work var/tiny --tokens 20000000

With `--tokens` the run is a function of the seed (up to the float noise of the processor); with `--minutes` the
learning rate follows the clock instead. A checkpoint is written every few minutes; the same command goes on from it.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from demo.tiny_model import tokenizer as tokenizer_module
from demo.tiny_model.corpus import SKILLS, Batch, Encoder, Packer, dialogues
from demo.tiny_model.export import export
from demo.tiny_model.model import Shape, TinyLlama

SHORT, LONG = 256, 512
# About 6,000 token slots a step in either shape. The scored positions hold every answer and most sampled prompt tokens.
SHORT_ROWS, LONG_ROWS = 24, 12
SCORED_SHARE = 0.42


@dataclass(frozen=True)
class Plan:
    seed: int
    tokens: int | None
    minutes: float | None
    learning_rate: float
    weight_decay: float = 0.05
    warmup_steps: int = 40
    decay_share: float = 0.5

    def progress(self, tokens: int, seconds: float) -> float:
        if self.tokens is not None:
            return min(1.0, tokens / self.tokens)
        assert self.minutes is not None
        return min(1.0, seconds / (60 * self.minutes))

    def rate(self, step: int, progress: float) -> float:
        """Linear warm-up, constant, then linear decay to a fiftieth over the last `decay_share` of the run."""
        decay = max(0.02, min(1.0, (1 - progress) / self.decay_share))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps) * decay


@dataclass
class State:
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    dialogues: int = 0


def batches(encoder: Encoder, seed: int, skip: int) -> Iterator[tuple[Batch, int]]:
    """Packed batches with the number of dialogues used so far; `skip` dialogues were used before a resume."""
    short = Packer(rows=SHORT_ROWS, length=SHORT, scored=int(SHORT * SCORED_SHARE), patience=32)
    long = Packer(rows=LONG_ROWS, length=LONG, scored=int(LONG * SCORED_SHARE), patience=6)
    rng = Random(f"prompt-tokens-{seed}")
    for used, dialogue in zip(count(1), dialogues(seed), strict=False):
        if used <= skip:
            continue
        encoded = encoder.encode(dialogue, rng)
        size = len(encoded.tokens)
        # A long row is one long dialogue as a rule; short ones fill what it leaves.
        if size > LONG or (size <= SHORT and long.place(encoded, started_rows_only=True)):
            continue
        if batch := (short if size <= SHORT else long).add(encoded):
            yield batch, used


def optimizers(model: TinyLlama, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon (Jordan and others, 2024) for the matrices, AdamW for the embedding and the norms."""
    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.dim() == 2 and "embed" not in name]
    rest = [p for name, p in named if not (p.dim() == 2 and "embed" not in name)]
    return [
        torch.optim.Muon(
            matrices, lr=plan.learning_rate, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(rest, lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    fields = (batch.tokens, batch.document, batch.position, batch.chosen, batch.target, batch.weight)
    return tuple(torch.from_numpy(np.ascontiguousarray(f)) for f in fields)


class Trainer:
    """One run: model, optimizers, state and the files of its work directory."""

    def __init__(self, work: Path, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        self.work, self.plan, self.state = work, plan, State()
        work.mkdir(parents=True, exist_ok=True)
        self.tokenizer = self._tokenizer()
        self.model = TinyLlama(Shape())
        self.optimizers = optimizers(self.model, plan)
        if self.checkpoint.exists():
            self._load()
        self.compiled = torch.compile(self._losses)

    @property
    def checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    def _tokenizer(self) -> Tokenizer:
        path = self.work / "tokenizer"
        if not (path / "tokenizer.json").exists():
            tokenizer_module.save(tokenizer_module.train(self.plan.seed), path)
        return Tokenizer.from_file(str(path / "tokenizer.json"))

    def _losses(
        self, tokens: Tensor, document: Tensor, position: Tensor, chosen: Tensor, target: Tensor
    ) -> Tensor:
        logits = self.model(tokens, document, position, chosen)
        return functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")

    def _load(self) -> None:
        saved = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(saved["model"])
        for optimizer, one in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(one)
        self.state = State(**saved["state"])

    def save(self) -> None:
        """Write the checkpoint beside the old one and swap, so that a kill leaves a whole file."""
        fresh = self.checkpoint.with_suffix(".new")
        states = [o.state_dict() for o in self.optimizers]
        torch.save(
            {"model": self.model.state_dict(), "optimizers": states, "state": asdict(self.state)}, fresh
        )
        fresh.replace(self.checkpoint)
        export(self.model, self.work / "tokenizer", self.work / "model")

    def step(self, batch: Batch) -> tuple[float, dict[str, float]]:
        """One update; gives the weighted loss and the mean loss of full-weight answer tokens of each skill."""
        *inputs, weight = tensors(batch)
        rate = self.plan.rate(self.state.step, self.plan.progress(self.state.tokens, self.state.seconds))
        losses = self.compiled(*inputs)
        flat = weight.flatten()
        loss = (losses * flat).sum() / flat.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        by_skill = {}
        full = flat.numpy() == 1.0
        for i, name in enumerate(SKILLS):
            picked = full & (batch.skill.ravel() == i)
            if picked.any():
                by_skill[name] = float(losses.detach().numpy()[picked].mean())
        return float(loss.detach()), by_skill

    def run(self, *, save_every_seconds: float, log_every: int = 20) -> None:
        last_save = mark = time.monotonic()
        seen: dict[str, list[float]] = {}
        with (self.work / "log.jsonl").open("a", encoding="utf-8") as log:
            for batch, used in batches(Encoder(self.tokenizer), self.plan.seed, self.state.dialogues):
                loss, by_skill = self.step(batch)
                now = time.monotonic()
                self.state.seconds += now - mark
                mark = now
                self.state.step += 1
                self.state.tokens += int((batch.document >= 0).sum())
                self.state.dialogues = used
                for name, value in [("all", loss), *by_skill.items()]:
                    seen.setdefault(name, []).append(value)
                done = self.plan.progress(self.state.tokens, self.state.seconds) >= 1
                if self.state.step % log_every == 0 or done:
                    means = {name: round(sum(v) / len(v), 3) for name, v in seen.items()}
                    log.write(json.dumps(asdict(self.state) | {"loss": means}) + "\n")
                    log.flush()
                    seen = {}
                if done or now - last_save > save_every_seconds:
                    self.save()
                    last_save = time.monotonic()
                if done:
                    return


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, required=True, help="directory for tokenizer, checkpoint, log and model"
    )
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--tokens", type=int, help="stop after this many tokens, padding not counted")
    length.add_argument("--minutes", type=float, help="stop after this much training time, over all resumes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--save-every-seconds", type=float, default=240)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plan = Plan(arguments.seed, arguments.tokens, arguments.minutes, arguments.learning_rate)
    Trainer(arguments.work, plan).run(save_every_seconds=arguments.save_every_seconds)


if __name__ == "__main__":
    main()
