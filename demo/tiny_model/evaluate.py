"""Greedy answers in batches and their scores, on the tickets and on the general suite.

python -m demo.tiny_model.evaluate --model demo/models/ftportal-tiny --split validation --prompt prompt.txt --shots 4
python -m demo.tiny_model.evaluate --model demo/models/ftportal-tiny --general 400
"""

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from demo.tiny_model.splits import Row, Splits, by_wording, load

DEMO = Path(__file__).parents[1]
Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Share:
    """A count with its 95 % interval after Wilson (1927)."""

    right: int
    count: int

    def interval(self) -> tuple[float, float]:
        z, n, p = 1.959964, self.count, self.right / self.count
        middle, half = (p + z * z / (2 * n)), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.right / self.count:.1%} [{low:.1%}, {high:.1%}] n={self.count}"


class Answerer:
    """A model with its tokenizer; answers do not depend on what else is in the batch beyond float noise."""

    def __init__(self, model: Path, adapter: Path | None = None) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(model)
        self.model: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        if adapter:
            self.model = PeftModel.from_pretrained(self.model, adapter).merge_and_unload()
        self.model.eval()

    @torch.inference_mode()
    def answer(self, prompts: Sequence[Messages], *, max_new_tokens: int = 48, batch: int = 64) -> list[str]:
        texts = [
            self.tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=True) for p in prompts
        ]
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        answers = [""] * len(texts)
        for start in range(0, len(order), batch):
            picked = order[start : start + batch]
            inputs = self.tokenizer([texts[i] for i in picked], return_tensors="pt", padding=True)
            output = self.model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=max_new_tokens,
                do_sample=False,
            )
            new = output[:, inputs["input_ids"].shape[1] :]
            for i, text in zip(
                picked, self.tokenizer.batch_decode(new, skip_special_tokens=True), strict=True
            ):
                answers[i] = text
        return answers


def shots(train: list[Row], count: int, seed: int) -> Messages:
    """Examples of different categories and priorities from the training rows."""
    rng, rows = random.Random(seed), list(train)
    rng.shuffle(rows)
    chosen: list[Row] = []
    while len(chosen) < count:
        used = {(r["metadata"]["category"]) for r in chosen}, {r["metadata"]["priority"] for r in chosen[-2:]}
        row = next(
            r
            for r in rows
            if r["metadata"]["category"] not in used[0] and r["metadata"]["priority"] not in used[1]
        )
        chosen.append(row)
    return [message for row in chosen for message in row["messages"]]


def ask(row: Row, prompt: str | None, examples: Messages) -> Messages:
    system = [{"role": "system", "content": prompt}] if prompt else []
    return [*system, *examples, row["messages"][0]]


def score_tickets(rows: list[Row], answers: list[str]) -> dict[str, Share]:
    """Exact answers, answers in the house format, and the two fields by themselves."""
    counts: Counter[str] = Counter()
    for row, answer in zip(rows, answers, strict=True):
        meta, lines = row["metadata"], answer.split("\n")
        counts["exact"] += answer == row["messages"][1]["content"]
        counts["category"] += lines[0] == f"category: {meta['category']}"
        counts["priority"] += lines[-1] == f"priority: {meta['priority']}"
        counts["format"] += (
            len(lines) == 2 and lines[0].startswith("category: ") and lines[1].startswith("priority: ")
        )
    return {name: Share(counts[name], len(rows)) for name in ("exact", "category", "priority", "format")}


def majority(splits: Splits, rows: list[Row]) -> Share:
    """Always the most frequent answer of the training rows."""
    answer = Counter(r["messages"][1]["content"] for r in splits.train).most_common(1)[0][0]
    return Share(sum(r["messages"][1]["content"] == answer for r in rows), len(rows))


def score_general(answerer: Answerer, limit: int | None) -> dict[str, Share]:
    items = load(DEMO / "general_skills" / "general_skills.jsonl")[:limit]
    answers = answerer.answer([item["messages"] for item in items], max_new_tokens=64)
    right: dict[str, list[bool]] = defaultdict(list)
    for item, answer in zip(items, answers, strict=True):
        for name in ("all", item["skill"]):
            right[name].append(answer.strip() == item["expected"].strip())
    return {name: Share(sum(r), len(r)) for name, r in sorted(right.items())}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=DEMO / "models" / "ftportal-tiny")
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--split", choices=("validation", "test"))
    parser.add_argument("--prompt", type=Path)
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--general", type=int, help="how many items of the general suite")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    answerer, started = Answerer(arguments.model, arguments.adapter), time.monotonic()
    scores: dict[str, Share] = {}
    if arguments.split:
        splits = by_wording(arguments.seed)
        rows: list[Row] = getattr(splits, arguments.split)
        prompt = arguments.prompt.read_text(encoding="utf-8").strip() if arguments.prompt else None
        examples = shots(splits.train, arguments.shots, arguments.seed)
        scores = score_tickets(rows, answerer.answer([ask(r, prompt, examples) for r in rows]))
        scores["majority"] = majority(splits, rows)
    if arguments.general:
        scores |= score_general(answerer, arguments.general)
    print(json.dumps({name: str(share) for name, share in scores.items()}, indent=1))
    print(f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
