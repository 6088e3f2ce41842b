"""Pre-trains the tiny model on a CPU, from scratch, in one run that can be stopped and resumed.

    python -m demo.tiny_model.pretrain --work var/tiny --minutes 50
    python -m demo.tiny_model.pretrain --work var/tiny --tokens 20000000

With `--tokens` the run is a function of the seed and the number of workers (up to the float noise of the
processor); with `--minutes` the learning rate follows the clock instead. A checkpoint is written every few minutes;
the same command goes on from it. Each worker is a process with one thread and its own dialogues; gradients are
averaged once a step, so a busy machine slows the workers less than threads that wait for each other in every product.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import count, pairwise
from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, distributed, multiprocessing
from torch.nn import functional

from demo.tiny_model import tokenizer as tokenizer_module
from demo.tiny_model.corpus import SKILLS, Batch, Encoder, Packer, dialogues
from demo.tiny_model.export import export
from demo.tiny_model.model import Shape, TinyLlama

LENGTH = 512
# About 2,000 token slots a step for each worker. The scored positions hold every answer and most sampled prompt tokens.
ROWS = 4
SCORED_SHARE = 0.42
# How many dialogues may wait for a row with room; more of them fill the rows better.
PATIENCE = 24
# Where, of the whole run, the learning rate has come down: once in between, then it starts high again (SGDR, Loshchilov
# and Hutter, 2017). Skills that copy from the prompt come with the first descent and stay.
CYCLE_ENDS = (0.35, 1.0)
# Of the learning rate, for the matrices (Muon) and for the embedding and the norms (AdamW).
RATE_FACTORS = (1.0, 0.6)


@dataclass(frozen=True)
class Plan:
    seed: int
    tokens: int | None
    minutes: float | None
    learning_rate: float
    weight_decay: float = 0.05
    warmup_steps: int = 40
    decay_share: float = 0.3

    def progress(self, tokens: int, seconds: float) -> float:
        if self.tokens is not None:
            return min(1.0, tokens / self.tokens)
        assert self.minutes is not None
        return min(1.0, seconds / (60 * self.minutes))

    def rate(self, step: int, progress: float) -> float:
        """Linear warm-up; in each cycle constant, then linear decay to a fiftieth over its last `decay_share`."""
        begin, end = next(pair for pair in pairwise((0.0, *CYCLE_ENDS)) if progress <= pair[1])
        left = (end - progress) / (end - begin)
        decay = max(0.02, min(1.0, left / self.decay_share))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps) * decay


@dataclass
class State:
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    dialogues: list[int] = field(default_factory=list)
    """How many dialogues each worker has drawn."""


def batches(encoder: Encoder, seed: str, skip: int) -> Iterator[tuple[Batch, int]]:
    """Packed batches with the number of dialogues used so far; `skip` dialogues were used before a resume."""
    packer = Packer(rows=ROWS, length=LENGTH, scored=int(LENGTH * SCORED_SHARE), patience=PATIENCE)
    rng = Random(f"prompt-tokens-{seed}")
    for used, dialogue in zip(count(1), dialogues(seed), strict=False):
        if used <= skip:
            continue
        encoded = encoder.encode(dialogue, rng)
        if len(encoded.tokens) <= LENGTH and (batch := packer.add(encoded)):
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
    """One worker of a run: model, optimizers, state and the files of its work directory, which worker 0 writes."""

    def __init__(self, work: Path, plan: Plan, *, worker: int, workers: int) -> None:
        torch.manual_seed(plan.seed)
        self.work, self.plan, self.worker, self.workers = work, plan, worker, workers
        self.state = State(dialogues=[0] * workers)
        self.tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
        self.model = TinyLlama(Shape())
        self.optimizers = optimizers(self.model, plan)
        if self.checkpoint.exists():
            self._load()
        self.compiled = torch.compile(self._losses)

    @property
    def checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

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

    def _average_gradients(self) -> None:
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.workers
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _agree(self, tokens: int, used: int) -> None:
        """Bring the counts of all workers together; the clock is that of worker 0."""
        counts = torch.zeros(self.workers + 2, dtype=torch.float64)
        counts[self.worker] = used
        counts[-2] = tokens
        counts[-1] = self.state.seconds if self.worker == 0 else 0.0
        distributed.all_reduce(counts)
        self.state.dialogues = [int(c) for c in counts[:-2]]
        self.state.tokens += int(counts[-2])
        self.state.seconds = float(counts[-1])

    def step(self, batch: Batch) -> tuple[float, dict[str, float]]:
        """One update; gives the weighted loss and the mean loss of full-weight answer tokens of each skill."""
        *inputs, weight = tensors(batch)
        rate = self.plan.rate(self.state.step, self.plan.progress(self.state.tokens, self.state.seconds))
        losses = self.compiled(*inputs)
        flat = weight.flatten()
        loss = (losses * flat).sum() / flat.sum()
        loss.backward()
        self._average_gradients()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, factor in zip(self.optimizers, RATE_FACTORS, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
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
        stream = batches(
            Encoder(self.tokenizer), f"{self.plan.seed}-{self.worker}", self.state.dialogues[self.worker]
        )
        for batch, used in stream:
            loss, by_skill = self.step(batch)
            now = time.monotonic()
            self.state.seconds += now - mark
            mark = now
            self.state.step += 1
            self._agree(int((batch.document >= 0).sum()), used)
            done = self.plan.progress(self.state.tokens, self.state.seconds) >= 1
            if self.worker == 0:
                for name, value in [("all", loss), *by_skill.items()]:
                    seen.setdefault(name, []).append(value)
                if self.state.step % log_every == 0 or done:
                    self._log(seen)
                    seen = {}
                if done or now - last_save > save_every_seconds:
                    self.save()
                    last_save = time.monotonic()
            if done:
                return

    def _log(self, seen: dict[str, list[float]]) -> None:
        means = {name: round(sum(values) / len(values), 3) for name, values in seen.items()}
        with (self.work / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(self.state) | {"loss": means}) + "\n")


def work_on(worker: int, workers: int, work: Path, plan: Plan, save_every_seconds: float) -> None:
    """What each process runs."""
    torch.set_num_threads(1)
    store = distributed.FileStore(str(work / "meeting-point"), workers)
    distributed.init_process_group("gloo", store=store, rank=worker, world_size=workers)
    Trainer(work, plan, worker=worker, workers=workers).run(save_every_seconds=save_every_seconds)
    distributed.destroy_process_group()


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
    parser.add_argument("--learning-rate", type=float, default=6e-3)
    parser.add_argument("--save-every-seconds", type=float, default=240)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "tokenizer" / "tokenizer.json").exists():
        tokenizer_module.save(tokenizer_module.train(arguments.seed), work / "tokenizer")
    (work / "meeting-point").unlink(missing_ok=True)
    plan = Plan(arguments.seed, arguments.tokens, arguments.minutes, arguments.learning_rate)
    multiprocessing.spawn(
        work_on,
        args=(arguments.workers, work, plan, arguments.save_every_seconds),
        nprocs=arguments.workers,
    )


if __name__ == "__main__":
    main()
