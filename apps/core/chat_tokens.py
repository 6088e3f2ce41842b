"""Token counts and answer positions of chats, without torch or transformers.

A chat is rendered with the model's own template and tokenised with the model's own tokenizer, as
transformers' `apply_chat_template` does: the template sees the same names, and no special token is added
beyond those it writes. The trainer builds its loss mask from the same code, so what is counted before a run
is what the run trains on.

A template that knows no tools writes none, and says nothing: transformers calls that "no effect". `unseen` finds it
out by rendering.

Where an answer stands in the rendered text is known from the template's `{% generation %}` markers. A
template without them is rendered message by message: an answer is what its message adds to the rendered
prompt before it.
"""

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Encoding, Tokenizer

from apps.core.errors import PortalError

Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]]
Span = tuple[int, int]
TOOLS, CALLS = "tools", "calls"

# Unicode noncharacters: text never holds them, so they can mark positions while a template runs.
OPEN, CLOSE = "\ufdd0", "\ufdd1"
MARKS = re.compile(f"[{OPEN}{CLOSE}]")
GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
BATCH = 1000


class ChatTokensError(PortalError):
    """The model's tokenizer or chat template can't be used on this conversation, or at all."""

    code = "chat_tokens"


class AnswersUnknownError(ChatTokensError):
    """The template doesn't let the assistant's answers be told apart from the rest."""

    code = "answers_unknown"


@dataclass(frozen=True)
class Chat:
    """A conversation, and the tools that its answers may call, as JSON schemas."""

    messages: Messages
    tools: Tools = ()

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Chat":
        """That of a row as it is stored."""
        tools = payload.get("tools")
        return cls(payload.get("messages") or [], tools if isinstance(tools, list) else ())

    def without(self, what: str) -> "Chat":
        """The same without its list of tools, or without its calls."""
        if what == TOOLS:
            return Chat(self.messages)
        bare = [{key: value for key, value in row.items() if key != "tool_calls"} for row in self.messages]
        return Chat(bare, self.tools)


@dataclass(frozen=True)
class ChatLength:
    """Tokens of a whole rendered conversation, and those that the loss is taken on; `answers` is None where the
    template doesn't let the answers be told apart."""

    total: int
    answers: int | None


@dataclass(frozen=True)
class EncodedChat:
    """Token ids of a chat, and the ranges of them (start, end) that the assistant wrote, its stop token
    included. A message with the weight 0 is read, and not learned: its range is left out."""

    ids: list[int]
    answers: tuple[Span, ...]

    @property
    def answer_tokens(self) -> int:
        return sum(end - start for start, end in self.answers)


class ChatTokenizer:
    """One model's tokenizer and chat template. Thread-safe."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: str,
        special_tokens: Mapping[str, str],
        *,
        tool_template: str | None = None,
    ) -> None:
        """`tool_template` is the template for conversations with tools, of a model that has two."""
        self._tokenizer = tokenizer
        self._special_tokens = dict(special_tokens)
        self._plain = _Template.read(template)
        self._with_tools = self._plain if tool_template is None else _Template.read(tool_template)
        added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        self._added_tokens = tuple(content for content in added if content.strip())

    @classmethod
    def from_directory(cls, directory: Path) -> "ChatTokenizer":
        """Load tokenizer.json and the chat template of a model directory."""
        path = directory / "tokenizer.json"
        if not path.is_file():
            raise ChatTokensError(
                f"The model directory {directory} has no tokenizer.json, so its tokens can't be counted.",
                code="no_tokenizer",
            )
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        config_path = directory / "tokenizer_config.json"
        config: dict[str, Any] = json.loads(config_path.read_text("utf-8")) if config_path.is_file() else {}
        template, tool_template = _read_templates(directory, config)
        return cls(tokenizer, template, _read_special_tokens(config), tool_template=tool_template)

    def render(self, chat: Chat, *, add_generation_prompt: bool = False) -> str:
        """The chat as the text that the model reads."""
        return MARKS.sub("", self._render(chat, add_generation_prompt=add_generation_prompt))

    def unseen(self, chat: Chat) -> frozenset[str]:
        """Which of a chat's `TOOLS` and `CALLS` the template doesn't write, so that the model never reads them."""
        calls = any(row.get("tool_calls") for row in chat.messages)
        held = [*([TOOLS] if chat.tools else []), *([CALLS] if calls else [])]
        if not held:
            return frozenset()
        whole = self.render(chat)
        return frozenset(what for what in held if self._reads_the_same(whole, chat.without(what)))

    def _reads_the_same(self, text: str, chat: Chat) -> bool:
        try:
            return self.render(chat) == text
        except ChatTokensError:  # a message without its calls may be empty, which some templates refuse
            return False

    def encode(self, chats: Iterable[Chat]) -> Iterator[EncodedChat]:
        """Tokenise chats in order; AnswersUnknownError if the answers can't be located."""
        iterator = iter(chats)
        while batch := list(islice(iterator, BATCH)):
            rendered = [self._locate(chat) for chat in batch]
            encodings = self._tokenizer.encode_batch([text for text, _ in rendered], add_special_tokens=False)
            for encoding, (_, spans) in zip(encodings, rendered, strict=True):
                yield EncodedChat(encoding.ids, tuple(_token_range(encoding, span) for span in spans))

    def count(self, chats: Iterable[Chat]) -> Iterator[ChatLength]:
        """Token counts of chats in order; `answers` is None where the answers can't be located."""
        iterator = iter(chats)
        while batch := list(islice(iterator, BATCH)):
            try:
                yield from [
                    ChatLength(total=len(chat.ids), answers=chat.answer_tokens) for chat in self.encode(batch)
                ]
            except AnswersUnknownError:
                texts = [self.render(chat) for chat in batch]
                for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                    yield ChatLength(total=len(encoding), answers=None)

    def _template_of(self, chat: Chat) -> "_Template":
        return self._with_tools if chat.tools else self._plain

    def _render(self, chat: Chat, *, add_generation_prompt: bool = False) -> str:
        cleaned = template_messages(chat.messages)
        for row in cleaned:
            if isinstance(row.get("content"), str) and MARKS.search(row["content"]):
                raise ChatTokensError("A message holds the noncharacter U+FDD0 or U+FDD1.", code="bad_text")
        try:
            return self._template_of(chat).compiled.render(
                messages=cleaned,
                tools=list(chat.tools) or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
        except (TemplateError, TypeError) as error:
            raise ChatTokensError(
                f"The model's chat template refuses this conversation: {error}.", code="template_refused"
            ) from error

    def _locate(self, chat: Chat) -> tuple[str, list[Span]]:
        """The rendered text and the character ranges of the answers."""
        if not self._template_of(chat).has_markers:
            return self._locate_by_prefix(chat)
        text, spans, start, length = [], [], 0, 0
        marked = self._render(chat)
        for part in re.split(f"([{OPEN}{CLOSE}])", marked):
            if part == OPEN:
                start = length
            elif part == CLOSE:
                spans.append((start, length))
            else:
                text.append(part)
                length += len(part)
        whole = "".join(text)
        return whole, [
            self._with_stop_token(whole, span) for span in _learned(chat.messages, spans) if span[1] > span[0]
        ]

    def _locate_by_prefix(self, chat: Chat) -> tuple[str, list[Span]]:
        messages, whole = chat.messages, self._render(chat)
        spans: list[Span] = []
        for index, row in enumerate(messages):
            if row["role"] != "assistant":
                continue
            asked = Chat(messages[:index], chat.tools)
            before = self._render(asked, add_generation_prompt=True) if index else ""
            after = self._render(Chat(messages[: index + 1], chat.tools))
            content = row.get("content") or ""
            if not (
                after.startswith(before)
                and whole.startswith(after)
                and content.strip() in after[len(before) :]
            ):
                raise AnswersUnknownError(
                    "The model's chat template has no {% generation %} markers and writes earlier messages "
                    "differently as the conversation goes on, so its answers can't be told apart. "
                    "Add the markers to the template."
                )
            end = len(after)
            trimmed = after.rstrip()
            if trimmed.endswith(self._added_tokens):
                end = len(trimmed)
            spans.append((len(before), end))
        return whole, _learned(messages, spans)

    def _with_stop_token(self, text: str, span: Span) -> Span:
        """Take in a stop token that the markers leave out: without it the model would never learn to stop."""
        start, end = span
        if text[start:end].rstrip().endswith(self._added_tokens):
            return span
        following = [token for token in self._added_tokens if text.startswith(token, end)]
        return (start, end + max(map(len, following))) if following else span


def template_messages(messages: Messages) -> list[dict[str, Any]]:
    """Messages as chat templates take them.

    A key without a value is left out, as many templates would write the word None. The arguments of a call are an
    object: templates write them as JSON themselves, so OpenAI's text of JSON would come out as a text in quotes.
    """
    cleaned = [{key: value for key, value in row.items() if value is not None} for row in messages]
    for row in cleaned:
        if isinstance(row.get("tool_calls"), list):
            row["tool_calls"] = [_template_call(call) for call in row["tool_calls"]]
    return cleaned


def _template_call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": arguments}} if isinstance(arguments, dict) else call


def _learned(messages: Messages, spans: list[Span]) -> list[Span]:
    """Without the answers that have the weight 0, as in OpenAI's files."""
    weights = [row.get("weight") for row in messages if row["role"] == "assistant"]
    if 0 not in weights:
        return spans
    if len(weights) != len(spans):
        raise AnswersUnknownError(
            "Some answers have the weight 0, and the model's chat template does not mark every answer by itself, so"
            " which ones to leave out can't be told."
        )
    return [span for span, weight in zip(spans, weights, strict=True) if weight != 0]


def _token_range(encoding: Encoding, span: Span) -> Span:
    """Tokens that hold a character range. A character that no token holds (trimmed space) is passed over."""
    first = last = None
    for position in range(span[0], span[1]):
        first = encoding.char_to_token(position)
        if first is not None:
            break
    for position in range(span[1] - 1, span[0] - 1, -1):
        last = encoding.char_to_token(position)
        if last is not None:
            break
    return (0, 0) if first is None or last is None else (first, last + 1)


class _GenerationTag(Extension):
    """`{% generation %}…{% endgeneration %}`: what stands between is the assistant's."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Macro) -> str:
        return f"{OPEN}{caller()}{CLOSE}"


@dataclass(frozen=True)
class _Template:
    compiled: Template
    has_markers: bool

    @classmethod
    def read(cls, text: str) -> "_Template":
        try:
            return cls(_environment().from_string(text), GENERATION.search(text) is not None)
        except TemplateError as error:
            raise ChatTokensError(
                f"The model's chat template can't be read: {error}.", code="bad_template"
            ) from error


def _environment() -> ImmutableSandboxedEnvironment:
    """The names and settings that chat templates are written for. Templates are strangers' code: sandboxed."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().strftime(pattern)


def _read_templates(directory: Path, config: Mapping[str, Any]) -> tuple[str, str | None]:
    """The chat template, and the one for conversations with tools where the model has two."""
    named = _named_templates(directory, config)
    template = named.get("default")
    if not isinstance(template, str):
        raise ChatTokensError(
            f"The model directory {directory} has no chat template. Choose an instruction-tuned model, or add "
            "chat_template.jinja to the directory.",
            code="no_chat_template",
        )
    return template, named.get("tool_use")


def _named_templates(directory: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """From files where the directory has them, else from the tokenizer's configuration, as transformers reads them."""
    path = directory / "chat_template.jinja"
    if path.is_file():
        files = {"default": path, "tool_use": directory / "additional_chat_templates" / "tool_use.jinja"}
        return {name: file.read_text("utf-8") for name, file in files.items() if file.is_file()}
    template = config.get("chat_template")
    if isinstance(template, list):
        return {item["name"]: item["template"] for item in template}
    return {"default": template}


def _read_special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in SPECIAL_TOKENS:
        token = config.get(name)
        if isinstance(token, Mapping):
            token = token.get("content")
        if isinstance(token, str):
            found[name] = token
    return found
