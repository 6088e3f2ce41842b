"""Clusters out of pairs."""

from collections import defaultdict
from collections.abc import Iterable


class UnionFind:
    """Who is connected with whom, directly or through others. The root of a cluster is its smallest member."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def root(self, member: int) -> int:
        parent = self._parent
        root = member
        while (above := parent.get(root, root)) != root:
            root = above
        while member != root:
            parent[member], member = root, parent.get(member, member)
        return root

    def join(self, one: int, other: int) -> bool:
        """Whether they were apart before."""
        first, second = self.root(one), self.root(other)
        if first == second:
            return False
        self._parent[max(first, second)] = min(first, second)
        self._parent.setdefault(min(first, second), min(first, second))
        return True

    def clusters(self) -> list[list[int]]:
        """Every cluster of two and more, its members and the clusters in rising order."""
        members: dict[int, list[int]] = defaultdict(list)
        for member in self._parent:
            members[self.root(member)].append(member)
        return sorted(sorted(cluster) for cluster in members.values() if len(cluster) > 1)


def clusters_of(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    found = UnionFind()
    for one, other in pairs:
        found.join(one, other)
    return found.clusters()
