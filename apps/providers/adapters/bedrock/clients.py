"""The AWS clients of one connection: made when first needed, without a look at this machine's own AWS set-up."""

import re
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from apps.core.outgoing import OutgoingError, checked_url
from apps.providers.adapters.bedrock.errors import aws_errors
from apps.providers.contracts import ProviderRejectedError
from apps.providers.remote import Setting

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient
    from mypy_boto3_s3 import S3Client

SETTINGS = (
    Setting(
        name="region",
        label="Region",
        default="us-east-1",
        help="Where models are trained, such as us-west-2.",
    ),
    Setting(name="access_key_id", label="Access key ID"),
    Setting(name="secret_access_key", label="Secret access key", secret=True),
    Setting(
        name="session_token",
        label="Session token",
        secret=True,
        required=False,
        help="Only for temporary credentials. They expire within hours: jobs can't be followed after that.",
    ),
    Setting(
        name="role_arn",
        label="Role ARN",
        help="The IAM role that Bedrock takes on to read the training file and write results.",
    ),
    Setting(
        name="s3_uri",
        label="S3 URI",
        help="A bucket in the same region, and a folder: s3://bucket/folder. Training files and results go there.",
    ),
    Setting(
        name="deploy",
        label="Deploy tuned models when they are asked",
        required=False,
        default="no",
        choices=("no", "yes"),
        help="AWS bills a tuned model's answers and keeps it deployed until you delete the deployment.",
    ),
    Setting(
        name="endpoint_url",
        label="Endpoint URL",
        required=False,
        is_url=True,
        help="Only for endpoints in the own network; the operator must allow private addresses.",
    ),
)
CONNECT_SECONDS, READ_SECONDS, ANSWER_SECONDS = 10, 60, 180
CHATS_AT_ONCE = 50
_REGION = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-\d")
_S3_URI = re.compile(r"s3://([a-z0-9][-.a-z0-9]{1,61}[a-z0-9])((?:/[-!_*'().a-zA-Z0-9]+)*)/?")
ROLE_ARN = re.compile(r"arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+")
"""As the service's own description of the API has it."""


class Clients:
    """Safe for several threads: AWS's clients are, and each is made once."""

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool) -> None:
        self._settings = {name: value.strip() for name, value in settings.items()}
        self._allow_private = allow_private
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._bedrock: BedrockClient | None = None
        self._runtime: BedrockRuntimeClient | None = None
        self._s3: S3Client | None = None

    def setting(self, name: str) -> str:
        return self._settings.get(name, "")

    @property
    def bucket(self) -> str:
        return self._place()[0]

    def key(self, *parts: str) -> str:
        """A key under the connection's folder."""
        return "/".join((*filter(None, (self._place()[1],)), *parts))

    def bedrock(self) -> "BedrockClient":
        with self._lock:
            if self._bedrock is None:
                self._bedrock = self._made().client(
                    "bedrock", endpoint_url=self._endpoint(), config=_config(READ_SECONDS)
                )
            return self._bedrock

    def runtime(self) -> "BedrockRuntimeClient":
        with self._lock:
            if self._runtime is None:
                self._runtime = self._made().client(
                    "bedrock-runtime", endpoint_url=self._endpoint(), config=_config(ANSWER_SECONDS)
                )
            return self._runtime

    def s3(self) -> "S3Client":
        with self._lock:
            if self._s3 is None:
                own = self._endpoint()
                self._s3 = self._made().client(
                    "s3", endpoint_url=own, config=_config(READ_SECONDS, tries=2, path_style=own is not None)
                )
            return self._s3

    def errors(self, *, creating: bool = False, job: str | None = None) -> AbstractContextManager[None]:
        """`aws_errors`, with this connection's secrets kept out of what is told."""
        hidden = tuple(filter(None, (self.setting("secret_access_key"), self.setting("session_token"))))
        return aws_errors(creating=creating, job=job, hidden=hidden)

    def close(self) -> None:
        with self._lock:
            for client in (self._bedrock, self._runtime, self._s3):
                if client is not None:
                    client.close()
            self._bedrock = self._runtime = self._s3 = None

    def _made(self) -> "Session":
        """Called under the lock. Only this connection's keys count: the machine's own could belong to others."""
        if self._session is None:
            import botocore.session
            from boto3.session import Session

            region = self.setting("region")
            if not _REGION.fullmatch(region):
                raise _bad("region", f"“{region}” is no AWS region. Enter one such as us-east-1.")
            for name, label in (
                ("access_key_id", "access key ID"),
                ("secret_access_key", "secret access key"),
            ):
                if not self.setting(name):
                    raise ProviderRejectedError(
                        f"The connection has no {label}. Enter it.", code="unauthenticated"
                    )
            nothing = (None, None, None, None)
            bare = botocore.session.Session(
                session_vars={"profile": nothing, "config_file": nothing, "credentials_file": nothing}
            )
            self._session = Session(
                aws_access_key_id=self.setting("access_key_id"),
                aws_secret_access_key=self.setting("secret_access_key"),
                aws_session_token=self.setting("session_token") or None,
                region_name=region,
                botocore_session=bare,
            )
        return self._session

    def _endpoint(self) -> str | None:
        url = self.setting("endpoint_url")
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
        found = _S3_URI.fullmatch(self.setting("s3_uri"))
        if found is None:
            raise _bad("s3_uri", "The S3 URI must look like s3://bucket/folder.")
        return found[1], found[2].strip("/")


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _config(read_seconds: int, *, tries: int = 1, path_style: bool = False) -> "Config":
    from botocore.config import Config

    return Config(  # type: ignore[call-arg]  # the stubs lack ignore_configured_endpoint_urls
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"total_max_attempts": tries, "mode": "standard"},
        max_pool_connections=CHATS_AT_ONCE,
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": "path" if path_style else "auto", "us_east_1_regional_endpoint": "regional"},
        user_agent_extra="ftportal",
    )


def _bad(field: str, message: str) -> ProviderRejectedError:
    return ProviderRejectedError(message, code=f"bad_{field}")
