"""What AWS says went wrong, as the errors that every provider raises."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as aws

from apps.providers.contracts import (
    JobUnknownError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)

UNAUTHENTICATED = {
    "UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignatureException",
    "IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken",
    "SignatureDoesNotMatch", "AuthFailure",
}  # fmt: skip
EXPIRED = {"ExpiredTokenException", "ExpiredToken"}
FORBIDDEN = {"AccessDeniedException", "AccessDenied"}
BUSY = {
    "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
    "ModelNotReadyException",
}  # fmt: skip
MISSING = {"ResourceNotFoundException", "NoSuchKey", "NoSuchBucket", "404"}
QUOTA = {"ServiceQuotaExceededException", "TooManyTagsException"}
_SENT_PERHAPS = (aws.ReadTimeoutError, aws.ConnectionClosedError, aws.HTTPClientError)
_NEVER_SENT = (
    aws.EndpointConnectionError,
    aws.ConnectTimeoutError,
    aws.ProxyConnectionError,
    aws.SSLError,
)


@contextmanager
def aws_errors(
    *, creating: bool = False, job: str | None = None, hidden: Sequence[str] = ()
) -> Iterator[None]:
    """Raise `ProviderError` for whatever AWS answers, or where it doesn't.

    `creating`: a lost answer may mean that the thing exists now. `job`: what is missing, then, is this job.
    `hidden` are texts that no error may repeat.
    """
    try:
        yield
    except aws.ClientError as error:
        # Not chained: AWS may repeat the request in its answer.
        raise _answered(error, creating=creating, job=job, hidden=hidden) from None
    except _NEVER_SENT as error:
        raise ProviderUnavailableError(
            f"Amazon Bedrock can't be reached: {_first_line(error)}", code="unreachable"
        ) from error
    except _SENT_PERHAPS as error:
        raise _lost(creating, _first_line(error)) from error
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        raise ProviderRejectedError(
            "The connection has no complete AWS access key. Enter the access key ID and the secret access key.",
            code="unauthenticated",
        ) from error
    except aws.ParamValidationError as error:
        raise ProviderRejectedError(
            f"AWS would not take this: {' '.join(str(error).split())}", code="rejected"
        ) from error
    except aws.BotoCoreError as error:
        raise ProviderUnavailableError(
            f"The answer of AWS can't be read: {_first_line(error)}", code="unreadable"
        ) from error


def error_code(error: ProviderError) -> str:
    """AWS's own code for it, empty where AWS said nothing."""
    return str(error.raw.get("Code", ""))


def _answered(
    error: aws.ClientError, *, creating: bool, job: str | None, hidden: Sequence[str]
) -> ProviderError:
    told: Mapping[str, Any] = error.response.get("Error", {})
    answer: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    code, status = str(told.get("Code", "")), int(answer.get("HTTPStatusCode", 0))
    text = _first_line(told.get("Message", "")) or code
    for secret in hidden:
        text = text.replace(secret, "…")
    raw = {"Code": code, "Message": text, "HTTPStatusCode": status, "RequestId": answer.get("RequestId")}
    if code in UNAUTHENTICATED or status == 401:
        # The message of a wrong signature repeats the request with its headers, the session token among them.
        raw["Message"] = ""
        return _unauthenticated(code, raw)
    if code in FORBIDDEN or status == 403:
        return ProviderRejectedError(
            f"This AWS access key may not do that: {text} Give its user the permissions for Bedrock, the bucket,"
            " and iam:PassRole for the role.",
            code="forbidden",
            raw=raw,
        )
    if code in BUSY or status == 429:
        return ProviderUnavailableError(
            f"Amazon Bedrock is too busy for this account: {text}",
            code="busy",
            raw=raw,
            retry_after=_retry_after(answer),
        )
    if status >= 500 or code in ("ModelTimeoutException", "ModelErrorException"):
        if creating:
            return _lost(creating, text, raw)
        return ProviderUnavailableError(
            f"Amazon Bedrock failed: {text}", raw=raw, retry_after=_retry_after(answer)
        )
    return _refused(code, text, raw, job)


def _refused(code: str, text: str, raw: Mapping[str, Any], job: str | None) -> ProviderError:
    if code in MISSING:
        if job is not None:
            return JobUnknownError(
                "Amazon Bedrock knows no such job; it was made in another account or region, or is gone.",
                raw=raw,
            )
        return ProviderRejectedError(f"AWS does not find it: {text}", code="not_found", raw=raw)
    if code in QUOTA:
        return ProviderRejectedError(
            f"The AWS account is at its limit: {text} Wait for a running job to end, or ask AWS for a higher quota.",
            code="quota",
            raw=raw,
        )
    if "on-demand throughput" in text:
        return ProviderRejectedError(
            f"{text} Ask the model by the id of its inference profile, such as us. and the model's id.",
            code="needs_inference_profile",
            raw=raw,
        )
    return ProviderRejectedError(f"Amazon Bedrock refused: {text}", code="rejected", raw=raw)


def _unauthenticated(code: str, raw: Mapping[str, Any]) -> ProviderRejectedError:
    if code in EXPIRED:
        message = "The AWS session token has expired. Enter new credentials for this connection."
    else:
        message = (
            "AWS does not accept the access key. Check the access key ID, the secret and the session token."
        )
    return ProviderRejectedError(message, code="unauthenticated", raw=raw)


def _lost(creating: bool, text: str, raw: Mapping[str, Any] | None = None) -> ProviderUnavailableError:
    if creating:
        return ProviderUnavailableError(
            f"The answer to the request was lost: {text} It may have been carried out.",
            code="reply_lost",
            raw=raw,
        )
    return ProviderUnavailableError(f"Amazon Bedrock did not answer: {text}", code="unreachable", raw=raw)


def _retry_after(answer: Mapping[str, Any]) -> float | None:
    told = str(answer.get("HTTPHeaders", {}).get("retry-after", ""))
    try:
        return max(0.0, float(told))
    except ValueError:
        return None


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:500] if lines else type(error).__name__ if isinstance(error, Exception) else ""
