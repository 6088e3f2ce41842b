"""Google's clients of one connection: made when first needed, with this connection's credentials alone."""

import json
import re
import threading
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from apps.core.outgoing import OutgoingError, checked_url
from apps.providers.adapters.vertex.errors import google_errors
from apps.providers.adapters.vertex.storage import GOOGLE, Storage
from apps.providers.contracts import ProviderRejectedError
from apps.providers.guarded import httpx2_client, httpx_client
from apps.providers.remote import Setting

if TYPE_CHECKING:
    import httpx
    import httpx2
    from google.genai import Client

    from apps.providers.adapters.vertex.tokens import Tokens

SETTINGS = (
    Setting(name="project", label="Project ID"),
    Setting(
        name="location",
        label="Location",
        default="us-central1",
        help="Where models are trained and answer, such as europe-west4.",
    ),
    Setting(
        name="service_account",
        label="Service account key",
        secret=True,
        help="The content of the JSON file. The account needs the roles Vertex AI User and Storage Object Admin.",
    ),
    Setting(
        name="bucket",
        label="Bucket",
        help="A Cloud Storage bucket, and a folder if you like: gs://bucket/folder. Training files go there.",
    ),
    Setting(
        name="thinking",
        label="Thinking before an answer",
        required=False,
        default="off",
        choices=("off", "on"),
        help="Google advises to turn it off for tuned models. Thoughts count as written tokens.",
    ),
    Setting(
        name="endpoint_url",
        label="Endpoint URL",
        required=False,
        is_url=True,
        help="Only for endpoints in the own network; the operator must allow private addresses.",
    ),
)
TOKEN_ADDRESSES = ("https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token")
REQUEST_SECONDS, ANSWER_SECONDS = 60, 180
_PROJECT = re.compile(r"[a-z0-9](?:[a-z0-9.:-]{1,60}[a-z0-9])")
_LOCATION = re.compile(r"[a-z]+-[a-z]+\d{1,2}|global|us|eu")
_BUCKET = re.compile(r"(?:gs://)?([a-z0-9][-_.a-z0-9]{1,220}[a-z0-9])((?:/[-_.a-zA-Z0-9]+)*)/?")


class Clients:
    """Safe for several threads; each client is made once."""

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool) -> None:
        self._settings = {name: value.strip() for name, value in settings.items()}
        self._allow_private = allow_private
        self._lock = threading.RLock()
        self._http: httpx.Client | None = None
        self._http2: httpx2.Client | None = None
        self._tokens: Tokens | None = None
        self._genai: Client | None = None

    @property
    def thinks(self) -> bool:
        return self._settings.get("thinking") == "on"

    @property
    def parent(self) -> str:
        """Project and location, as they begin the names of jobs."""
        project, location = self._settings.get("project", ""), self._settings.get("location", "")
        if not _PROJECT.fullmatch(project):
            raise _bad("project", "The project ID must look like my-project-123.")
        if not _LOCATION.fullmatch(location):
            raise _bad(
                "location", f"“{location}” is no location of Google Cloud. Enter one such as us-central1."
            )
        return f"projects/{project}/locations/{location}"

    @property
    def bucket(self) -> str:
        return self._place()[0]

    def key(self, *parts: str) -> str:
        """A key under the connection's folder."""
        return "/".join((*filter(None, (self._place()[1],)), *parts))

    def genai(self) -> "Client":
        with self._lock:
            if self._genai is None:
                from google.genai import Client
                from google.genai.types import HttpOptions

                # The library says once that its tuning is experimental: nothing that a reader of logs can act on.
                warnings.filterwarnings("ignore", message="The SDK's tuning implementation is experimental")
                _, project, _, location = self.parent.split("/")
                self._http2 = self._http2 or httpx2_client(allow_private=self._allow_private)
                self._genai = Client(
                    vertexai=True,
                    project=project,
                    location=location,
                    credentials=self._credentials(),
                    http_options=HttpOptions(
                        base_url=self._endpoint(),
                        api_version="v1beta1",
                        timeout=REQUEST_SECONDS * 1000,
                        httpx_client=self._http2,
                    ),
                )
            return self._genai

    def storage(self) -> Storage:
        with self._lock:
            return Storage(self._guarded(), self._credentials().now, self._endpoint() or GOOGLE)

    def errors(self, *, creating: bool = False, job: str | None = None) -> AbstractContextManager[None]:
        """`google_errors`, with this connection's token kept out of what is told."""
        return google_errors(creating=creating, job=job, hidden=self._token_in_use)

    def close(self) -> None:
        with self._lock:
            if self._genai is not None:
                self._genai.close()
            for client in (self._http, self._http2):
                if client is not None:
                    client.close()
            self._genai = self._http = self._http2 = self._tokens = None

    def _token_in_use(self) -> str:
        tokens = self._tokens
        return str(tokens.token or "") if tokens is not None else ""

    def _guarded(self) -> "httpx.Client":
        with self._lock:
            if self._http is None:
                self._http = httpx_client(allow_private=self._allow_private)
            return self._http

    def _credentials(self) -> "Tokens":
        with self._lock:
            if self._tokens is None:
                from google.auth.exceptions import GoogleAuthError

                from apps.providers.adapters.vertex.tokens import Tokens

                try:
                    self._tokens = Tokens(self._account(), self._guarded())
                except (ValueError, GoogleAuthError):
                    raise _bad_account("its private key can't be read") from None
            return self._tokens

    def _account(self) -> dict[str, Any]:
        """The key file. Where its tokens come from is no free choice: that address is asked by this machine."""
        try:
            account = json.loads(self._settings.get("service_account", ""))
        except ValueError:
            raise _bad_account("it is no JSON") from None
        if not isinstance(account, dict) or account.get("type") != "service_account":
            raise _bad_account("its type is not service_account")
        if not all(
            isinstance(account.get(name), str) for name in ("client_email", "private_key", "token_uri")
        ):
            raise _bad_account("client_email, private_key or token_uri is missing")
        if account["token_uri"] not in TOKEN_ADDRESSES and not self._allow_private:
            raise _bad_account("its token_uri is not Google's")
        account.pop("universe_domain", None)
        return account

    def _endpoint(self) -> str | None:
        url = self._settings.get("endpoint_url", "")
        if not url:
            return None
        if not self._allow_private:
            raise _bad(
                "endpoint_url",
                "An endpoint of one's own lies in a private network, which is not allowed here. Leave it empty, or ask"
                " the operator to set FTPORTAL_ALLOW_PRIVATE_URLS.",
            )
        try:
            return checked_url(url, allow_private=True)
        except OutgoingError as error:
            raise _bad("endpoint_url", f"The endpoint can't be used: {error.message}") from error

    def _place(self) -> tuple[str, str]:
        found = _BUCKET.fullmatch(self._settings.get("bucket", ""))
        if found is None:
            raise _bad("bucket", "The bucket must look like gs://bucket/folder.")
        return found[1], found[2].strip("/")


def _bad(field: str, message: str) -> ProviderRejectedError:
    return ProviderRejectedError(message, code=f"bad_{field}")


def _bad_account(reason: str) -> ProviderRejectedError:
    return ProviderRejectedError(
        f"The service account key can't be used: {reason}. Paste the whole JSON file that Google Cloud gave you.",
        code="bad_service_account",
    )
