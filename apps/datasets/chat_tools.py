"""Checking tools and calls of tools in a chat row: what chat templates and trainers need of them."""

import json
from collections.abc import Iterator
from typing import Any

from apps.datasets.problems import RowProblem, excerpt


def tools_problems(row: dict[str, Any]) -> list[RowProblem]:
    """What is wrong with the tools that a row declares, if it declares any."""
    tools = row.get("tools")
    if tools is None:
        return []
    if not isinstance(tools, list):
        return [RowProblem("bad_tools", "Tools must be a list.", "$.tools", _shown(tools))]
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            return [
                RowProblem(
                    "bad_tools",
                    'A tool must be an object: {"type": "function", "function": {"name": …, "parameters": …}}.',
                    f"$.tools[{index}]",
                    _shown(tool),
                )
            ]
    return []


def tool_call_problems(message: dict[str, Any], path: str) -> Iterator[RowProblem]:
    """What is wrong with the calls that an assistant's message makes."""
    calls = message.get("tool_calls")
    if calls is None:
        return
    if not isinstance(calls, list):
        yield RowProblem("bad_tool_call", "tool_calls must be a list.", f"{path}.tool_calls", _shown(calls))
        return
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        place = f"{path}.tool_calls[{index}]"
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            yield RowProblem("bad_tool_call", "A call must name its function.", place, _shown(call))
        elif isinstance(function.get("arguments"), str) and not _is_json(function["arguments"]):
            yield RowProblem(
                "bad_tool_call",
                "The arguments of the call are a text that is no JSON.",
                f"{place}.function.arguments",
                excerpt(function["arguments"]),
            )


def _is_json(text: str) -> bool:
    try:
        json.loads(text or "{}")
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    return excerpt(json.dumps(value, ensure_ascii=False)[:1000])
