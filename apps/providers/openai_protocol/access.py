"""Where a server of OpenAI's protocol is and how it is entered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI, OpenAI

from apps.providers.contracts import ProviderRejectedError
from apps.providers.guarded import httpx2_async_client, httpx2_client, trusting

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 600.0
CALL_SECONDS = 60.0
NO_KEY = "none"
"""Sent where a server wants none: the client library insists on one."""


@dataclass(frozen=True)
class Access:
    base_url: str
    api_key: str = field(default="", repr=False)
    organisation: str = ""
    project: str = ""
    certificates: str = field(default="", repr=False)

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> "Access":
        """An address without a path gets the protocol's usual /v1."""
        url = (settings.get("base_url") or OPENAI_URL).strip().rstrip("/")
        if not urlsplit(url).path:
            url += "/v1"
        return cls(
            base_url=url,
            api_key=settings.get("api_key", "").strip(),
            organisation=settings.get("organisation", "").strip(),
            project=settings.get("project", "").strip(),
            certificates=settings.get("certificates", "").strip(),
        )

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or self.base_url

    @property
    def is_openai(self) -> bool:
        """OpenAI itself, in any of its regions."""
        return self.host == "api.openai.com" or self.host.endswith(".api.openai.com")

    def hide(self, value: Any) -> Any:
        """The same JSON value with the key nowhere in its texts."""
        if isinstance(value, str):
            return value.replace(self.api_key, "[key]") if self.api_key else value
        if isinstance(value, Mapping):
            return {self.hide(name): self.hide(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(inner) for inner in value]
        return value


def open_client(access: Access, *, allow_private: bool) -> OpenAI:
    """No retries: whoever calls has patience of its own, and a create must not be sent twice."""
    client = OpenAI(
        http_client=httpx2_client(allow_private=allow_private, follow_redirects=True, **_tls(access)),
        timeout=httpx2.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
        **_options(access),
    )
    _forget_environment(client, access)
    return client


def open_async_client(access: Access, *, allow_private: bool) -> AsyncOpenAI:
    client = AsyncOpenAI(
        http_client=httpx2_async_client(allow_private=allow_private, follow_redirects=True, **_tls(access)),
        timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        **_options(access),
    )
    _forget_environment(client, access)
    return client


def _options(access: Access) -> dict[str, Any]:
    return {"base_url": access.base_url, "api_key": access.api_key or NO_KEY, "max_retries": 0}


def _tls(access: Access) -> dict[str, Any]:
    if not access.certificates:
        return {}
    try:
        return {"tls": trusting(access.certificates)}
    except ValueError as error:
        raise ProviderRejectedError(str(error), code="bad_certificates") from None


def _forget_environment(client: OpenAI | AsyncOpenAI, access: Access) -> None:
    """The library reads variables of the operator's own account, which are nobody's business at another server."""
    client.organization = access.organisation or None
    client.project = access.project or None
    client.admin_api_key = None
    client._custom_headers = {}
