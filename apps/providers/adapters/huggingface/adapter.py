"""The adapter of text-generation servers: OpenAI's protocol for chats, and their own word about what they hold."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import BinaryIO, ClassVar
from urllib.parse import urlsplit, urlunsplit

import httpx2

from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.openai_protocol.access import Access, open_client
from apps.providers.openai_protocol.chat import Chats
from apps.providers.openai_protocol.errors import asking, bad_reply
from apps.providers.openai_protocol.looking import failed_look, list_models
from apps.providers.openai_protocol.replies import number, text
from apps.providers.openai_protocol.streaming import StreamingChats
from apps.providers.remote import ConnectionCheck, RemoteModel, Setting

CLOUD = ".endpoints.huggingface.cloud"
STARTING = (
    " An endpoint that was scaled to zero needs some minutes to come up, and the first question wakes it: try again"
    " then."
)


class HuggingFaceProvider:
    """Holds one client open; safe to use from several threads at once."""

    name: ClassVar[str] = "huggingface"
    label: ClassVar[str] = "Hugging Face endpoint"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            name="base_url",
            label="Endpoint",
            help="Address of an Inference Endpoint, or of your own text-generation server (TGI, vLLM).",
            is_url=True,
        ),
        Setting(
            name="api_key",
            label="Access token",
            help="With the right to call the endpoint. Empty for a server that wants none.",
            secret=True,
            required=False,
        ),
        Setting(
            name="certificates",
            label="Own certificate authority",
            is_text=True,
            help="PEM text, for a server whose certificate no public authority signed.",
            required=False,
        ),
    )

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool = False) -> None:
        self._access = _access(settings)
        self._client = open_client(self._access, allow_private=allow_private)
        self._chats = Chats(self._client, self._access)

    @classmethod
    def streaming(cls, settings: Mapping[str, str], *, allow_private: bool = False) -> StreamingChats:
        """Answers for an event loop."""
        return StreamingChats(_access(settings), allow_private=allow_private)

    def close(self) -> None:
        self._client.close()

    def check(self) -> ConnectionCheck:
        """A live look. Never raises ProviderError."""
        try:
            models, quota = self._models()
        except ProviderError as error:
            return failed_look(self._with_advice(error))
        named = ", ".join(model.id for model in models[:3]) or "no model"
        more = f" and {len(models) - 3} more" if len(models) > 3 else ""
        return ConnectionCheck(
            reachable=True,
            authenticated=True,
            message=f"{self._access.host} answers. It serves {named}{more}.",
            trainable=(),
            served=models,
            quota=quota,
        )

    def _models(self) -> tuple[tuple[RemoteModel, ...], str]:
        try:
            listing = list_models(self._client, self._access)
        except ProviderRejectedError as error:
            if error.raw.get("status") != 404:
                raise
            return (self._held(),), ""
        return listing.models, listing.quota

    def _held(self) -> RemoteModel:
        """Older servers list no models, and tell at /info which one they hold."""
        parts = urlsplit(self._access.base_url)
        place = urlunsplit((parts.scheme, parts.netloc, "/info", "", ""))
        with asking(self._access):
            body = self._client.get(place, cast_to=httpx2.Response).json()
        name = text(body.get("model_id")) if isinstance(body, dict) else ""
        if not name:
            raise bad_reply(self._access, body)
        length = number(body.get("max_total_tokens"))
        return RemoteModel(id=name, context_length=int(length) if length else None)

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        """The server has its model, and says with the first question if it is another one."""

    def chat(self, request: ChatRequest) -> ChatReply:
        try:
            return self._chats.ask(request)
        except ProviderUnavailableError as error:
            raise self._with_advice(error) from None

    def _with_advice(self, error: ProviderError) -> ProviderError:
        """What a fault of a hosted endpoint usually means."""
        waking = error.raw.get("status") in (502, 503) and self._access.host.endswith(CLOUD)
        if not waking or not isinstance(error, ProviderUnavailableError):
            return error
        return ProviderUnavailableError(
            error.message + STARTING, code="starting", raw=error.raw, retry_after=error.retry_after
        )


def _access(settings: Mapping[str, str]) -> Access:
    if not settings.get("base_url", "").strip():
        raise ProviderRejectedError("Enter the address of the endpoint.", code="no_address")
    return replace(Access.from_settings(settings), organisation="", project="")
