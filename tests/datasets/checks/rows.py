"""Rows by hand, and their facts."""

from typing import Any

from apps.datasets.checks.facts import Facts, columns_of, facts_of


def chat(asked: str, answer: str, *, system: str = "", **more: Any) -> dict[str, Any]:
    head = [{"role": "system", "content": system}] if system else []
    messages = [*head, {"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def facts(*payloads: dict[str, Any], **columns: Any) -> Facts:
    return columns_of(facts_of(payloads), **columns)


def members(found: Any) -> list[list[int]]:
    return [[row.index for row in item.rows] for item in found.items]
