"""Whether the models of this installation read the tools that items list."""

from collections.abc import Iterable

from apps.core.chat_tokens import TOOLS, Chat, ChatTokensError
from apps.core.formatting import format_number
from apps.datasets.models import Split, Version
from apps.datasets.selectors import version_row_payloads
from apps.datasets.tokenizers import tokenizer_of
from apps.datasets.version_exports import feature_counts
from apps.evaluations.models import Suite
from apps.registry.models import BaseModel

SAMPLE = 20
"""Items rendered to find out what the chat template writes."""


def tools_note(base_model: BaseModel, *, suite: Suite | None, version: Version | None) -> str:
    """What is to be said before a comparison on a suite, or on the test split of a version; empty where nothing is."""
    if base_model.connection_id is not None:
        return ""  # a provider is given the tools, or refuses them
    chats = list(_with_tools(suite, version))
    if not chats:
        return ""
    held = f"{format_number(len(chats))} {'item lists' if len(chats) == 1 else 'items list'} tools"
    tokenizer, _ = tokenizer_of(base_model.reference)
    if tokenizer is None:
        return f"{held}. Whether the chat template of {base_model} writes them can't be looked up here."
    try:
        if any(TOOLS not in tokenizer.unseen(chat) for chat in chats[:SAMPLE]):
            return ""
    except ChatTokensError as error:
        return f"{held}. {error.message} Such items would stay unscored."
    return (
        f"{held}, and the chat template of {base_model} does not write them: every contender is asked as if they were"
        " not listed."
    )


def _with_tools(suite: Suite | None, version: Version | None) -> Iterable[Chat]:
    if suite is not None:
        return (
            Chat(one.messages, one.tools) for one in suite.items.exclude(tools=[]).only("messages", "tools")
        )
    if version is None or not any(TOOLS in joined.split(",") for joined in feature_counts(version)):
        return ()
    rows = (Chat.of(row.payload) for row in version_row_payloads(version, Split.TEST))
    return (Chat(row.messages[:-1], row.tools) for row in rows if row.tools)
