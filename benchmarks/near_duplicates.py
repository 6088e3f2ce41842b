"""How fast nearly equal texts are found among many, and whether all of them are.

    python -m ftportal.embedded --temporary -- python -m benchmarks near_duplicates

Prints one line a measurement: name, value, limit, ok. Exit code 1 when a limit is missed. `--rows` changes the size.
"""

import argparse
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from apps.datasets.checks.near_duplicates import propose, verify
from apps.datasets.checks.shingles import word_shingles
from apps.datasets.checks.signatures import as_matrix, word_signatures
from apps.datasets.checks.texts import words_of
from apps.datasets.checks.union_find import clusters_of
from benchmarks import import_rows
from benchmarks.import_rows import report

THRESHOLD = 0.8
SIGNED_AT_ONCE = 2000


def texts_with_planted_pairs(count: int, planted: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Texts of 40 to 120 words, and copies of some with up to a tenth of the words changed; the pairs that have a true
    similarity of at least 0.8."""
    random_ = random.Random(11)
    vocabulary = [
        f"{a}{b}{c}" for a in "bdfgklmnprst" for b in ("a", "en", "il", "or", "u") for c in "bdfgklmnprst"
    ]
    texts = [
        " ".join(random_.choices(vocabulary, k=random_.randint(40, 120))) for _ in range(count - planted)
    ]
    pairs = []
    for source in random_.sample(range(len(texts)), planted):
        words = texts[source].split()
        for _ in range(random_.randint(1, max(1, len(words) // 10))):
            words[random_.randrange(len(words))] = random_.choice(vocabulary)
        one, other = word_shingles(texts[source].split()), word_shingles(words)
        if len(one & other) / len(one | other) >= THRESHOLD:
            pairs.append((source, len(texts)))
        texts.append(" ".join(words))
    return texts, pairs


def find_pairs(count: int) -> None:
    texts, planted = texts_with_planted_pairs(count, count // 20)
    start, processor = time.perf_counter(), time.process_time()
    words = [words_of(text) for text in texts]
    signatures: list[bytes] = []
    for first in range(0, len(words), SIGNED_AT_ONCE):
        signatures += word_signatures(words[first : first + SIGNED_AT_ONCE])
    signed = time.perf_counter()
    proposal = propose(as_matrix(signatures))
    proposed = time.perf_counter()
    found = list(verify(proposal.pairs, lambda rows: {row: word_shingles(words[row]) for row in rows}))
    clusters = clusters_of((one, other) for one, other, _ in found)
    seconds = time.perf_counter() - start
    processor = time.process_time() - processor
    print(
        f"# sign: {signed - start:.1f} s, propose: {proposed - signed:.1f} s, {len(proposal.pairs):,} candidates"
    )
    print(f"# verify: {start + seconds - proposed:.1f} s, {len(found):,} pairs in {len(clusters):,} clusters")
    print(f"# {processor:.1f} s of processor time")
    pairs = {(one, other) for one, other, _ in found}
    wrong = sum(
        len(word_shingles(words[one]) & word_shingles(words[other]))
        < THRESHOLD * len(word_shingles(words[one]) | word_shingles(words[other]))
        for one, other in pairs
    )
    report("near_duplicates_seconds_per_100k_rows", seconds * 100_000 / count, 15, at_most=True)
    report(
        "near_duplicates_recall", sum(pair in pairs for pair in planted) / len(planted), 0.95, at_most=False
    )
    report("near_duplicates_precision", 1 - wrong / max(1, len(pairs)), 1.0, at_most=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    print(f"{'# name':42} {'value':>12} {'limit':>12}")
    find_pairs(arguments.rows)
    return 1 if import_rows.failed else 0


if __name__ == "__main__":
    sys.exit(main())
