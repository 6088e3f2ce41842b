"""Proposed and verified pairs against the similarity of every pair, computed one by one."""

import random
from itertools import combinations

import pytest

from apps.datasets.checks.near_duplicates import propose, verify
from apps.datasets.checks.shingles import character_shingles, jaccard, similarity, word_shingles
from apps.datasets.checks.signatures import as_matrix, character_signatures, word_signatures
from apps.datasets.checks.union_find import clusters_of

WORDS = [f"{stem}{ending}" for stem in ("order", "card", "parcel", "refund") for ending in "abcdefghijklmnop"]


def variants(length: int, seed: int) -> list[list[str]]:
    """Texts and copies of them, of which most have one or two words changed and some up to a third."""
    random_ = random.Random(seed)
    texts = [random_.choices(WORDS, k=length) for _ in range(60)]
    for words in list(texts):
        for _ in range(3):
            copy = list(words)
            for _ in range(random_.choice((1, 1, 2, length // 3))):
                copy[random_.randrange(length)] = f"new{random_.randrange(10**6)}"
            texts.append(copy)
    return texts


@pytest.mark.parametrize(
    ("sign", "shingles", "length"),
    [(word_signatures, word_shingles, 40), (character_signatures, character_shingles, 22)],
)
def test_all_pairs_are_those_of_brute_force(sign, shingles, length):
    texts = variants(length, seed=5)
    sets = [shingles(words) for words in texts]
    expected = {
        (one, other)
        for one, other in combinations(range(len(texts)), 2)
        if len(sets[one] & sets[other]) / len(sets[one] | sets[other]) >= 0.8
    }
    assert len(expected) > 30
    proposal = propose(as_matrix(sign(texts)))
    verified = {
        (one, other) for one, other, _ in verify(proposal.pairs, lambda rows: {r: sets[r] for r in rows})
    }
    assert verified <= expected
    assert len(verified) >= 0.95 * len(expected)


def test_jaccard_by_hand():
    assert jaccard({1, 2, 3}, {2, 3, 4}) == 2 / 4
    assert jaccard(set(), {1}) == 0
    assert character_shingles(["abc"]) == {" ab", "abc", "bc "}
    # " ab" of " abc " and " abd ": one of five different pieces
    assert similarity("abc", "abd") == 1 / 5


def test_signatures_depend_on_the_text_alone():
    one, other = variants(30, seed=1)[:2]
    assert word_signatures([one, other])[1] == word_signatures([other])[0]
    assert word_signatures([["short"]]) == [b""]
    assert character_signatures([[], ["short"]])[0] == b""


def test_a_thousand_equal_texts_stay_cheap_and_become_one_cluster():
    matrix = as_matrix(word_signatures([WORDS[:30]] * 1000))
    proposal = propose(matrix)
    assert proposal.large_buckets > 0
    assert len(proposal.pairs) < 25_000
    assert clusters_of(map(tuple, proposal.pairs.tolist())) == [list(range(1000))]


def test_clusters():
    assert clusters_of([(3, 4), (1, 2), (2, 3), (7, 8)]) == [[1, 2, 3, 4], [7, 8]]
