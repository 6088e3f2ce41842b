"""Access tokens of a service account, fetched through the guarded client."""

import threading
from collections.abc import Mapping
from typing import Any

import httpx
from google.auth.credentials import Credentials
from google.auth.transport import Request, Response
from google.oauth2 import service_account

from apps.providers.adapters.vertex.errors import answered

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


class Tokens(Credentials):
    """Credentials for Google's own client that never open a connection of their own. Safe for several threads."""

    def __init__(self, account: Mapping[str, str], client: httpx.Client) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._account = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            dict(account), scopes=SCOPES
        )
        self._ask = _Asking(client)
        self._refreshing = threading.Lock()

    def refresh(self, request: object) -> None:
        with self._refreshing:
            self._fetch()

    def now(self) -> str:
        """A token that is valid for some time yet."""
        with self._refreshing:
            if not self.valid:
                self._fetch()
            return str(self.token)

    def _fetch(self) -> None:
        self._account.refresh(self._ask)
        self.token, self.expiry = self._account.token, self._account.expiry


class _Answer(Response):
    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> httpx.Headers:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.content


class _Asking(Request):
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> _Answer:
        """Raises `ProviderUnavailableError` where trying again may help: the library would sleep and try itself."""
        answer = self._client.request(method, url, content=body, headers=dict(headers or {}))
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise answered(answer.status_code, {"message": "no access token was given."}, answer.headers)
        return _Answer(answer)
