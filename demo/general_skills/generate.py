"""Generates the general suite and the replay data, the same bytes for the same seed.

    python -m demo.general_skills.generate

The suite asks for what the tiny model learned in pre-training, with sentences and phrasings that pre-training never
showed, so that it measures what a narrow fine-tuning costs. The replay rows are made like the pre-training data and can
be mixed into training data against that cost.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from random import Random

from demo.tiny_model.corpus import dialogues
from demo.tiny_model.dialogue import Dialogue

HERE = Path(__file__).parent
SEED = 4711
ITEMS = {
    "classify": 240,
    "name_topic": 160,
    "fields": 180,
    "few_shot_classify": 120,
    "extract": 180,
    "answer_from_text": 140,
    "look_up": 120,
    "reformat": 160,
    "copy": 80,
    "pattern": 100,
}
SUITE_CHARACTERS = 1_400
REPLAY_ROWS = 800
REPLAY_CHARACTERS = 700
# Prompts of these skills can be one short word, which pre-training may have met; two questions make them its own.
SHORT_SKILLS = ("copy", "reformat", "pattern", "look_up")


def size(dialogue: Dialogue) -> int:
    return sum(len(turn.content) for turn in dialogue.turns)


def suite(seed: int = SEED) -> list[dict[str, object]]:
    """Items whose last answer is `expected`; earlier turns carry their right answers."""
    left, prompts = Counter(ITEMS), set[str]()
    items: list[dict[str, object]] = []
    for dialogue in dialogues(f"suite-{seed}", held_out=True, mix=dict.fromkeys(ITEMS, 1.0)):
        if not sum(left.values()):
            break
        *before, last = dialogue.messages()
        prompt = json.dumps(before, ensure_ascii=False)
        too_short = dialogue.skill in SHORT_SKILLS and len(before) < 3
        if left[dialogue.skill] == 0 or too_short or prompt in prompts or size(dialogue) > SUITE_CHARACTERS:
            continue
        prompts.add(prompt)
        left[dialogue.skill] -= 1
        items.append({"messages": before, "expected": last["content"], "skill": dialogue.skill})
    Random(seed).shuffle(items)
    return items


def replay(seed: int = SEED) -> list[dict[str, object]]:
    """Short dialogues of every skill in chat form, none of them twice."""
    rows: list[dict[str, object]] = []
    seen: set[str] = set()
    mix = {skill: float(count) for skill, count in ITEMS.items()} | {"chat": 20.0}
    for dialogue in dialogues(f"replay-{seed}", mix=mix):
        text = json.dumps(dialogue.messages(), ensure_ascii=False)
        if size(dialogue) <= REPLAY_CHARACTERS and text not in seen:
            seen.add(text)
            rows.append({"messages": dialogue.messages(), "metadata": {"skill": dialogue.skill}})
        if len(rows) == REPLAY_ROWS:
            break
    return rows


def as_lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, default=HERE)
    arguments = parser.parse_args()
    (arguments.output / "general_skills.jsonl").write_text(as_lines(suite(arguments.seed)), encoding="utf-8")
    (arguments.output / "replay.jsonl").write_text(as_lines(replay(arguments.seed)), encoding="utf-8")


if __name__ == "__main__":
    main()
