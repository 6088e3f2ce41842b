"""The local provider: trains in a child process on this machine and answers through the inference program."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from apps.providers.adapters.local.client import InferenceClient
from apps.providers.adapters.local.streaming_client import StreamingInferenceClient
from apps.providers.contracts import ChatReply, ChatRequest, ModelReference, ProviderRejectedError
from apps.providers.jobdirs.trainer import JobDirectoryTrainer


class LocalProvider(JobDirectoryTrainer):
    """A provider that only answers chats needs no `jobs_dir`. The inference program is reached by
    `inference_socket` or `inference_url`."""

    name = "local"
    program = "apps.providers.adapters.local.trainer"

    def __init__(
        self,
        *,
        jobs_dir: Path | None = None,
        inference_socket: Path | None = None,
        inference_url: str | None = None,
        inference_token: str | None = None,
        python: str = sys.executable,
        supervisor_pid: int | None = None,
    ) -> None:
        super().__init__(jobs_dir=jobs_dir, python=python, supervisor_pid=supervisor_pid)
        self._client: InferenceClient | None = None
        if inference_socket is not None or inference_url is not None:
            self._client = InferenceClient(socket=inference_socket, url=inference_url, token=inference_token)

    def close(self) -> None:
        """End the connections to the inference program."""
        if self._client is not None:
            self._client.close()

    # --- Inference ------------------------------------------------------------------------------------------

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        if model.artifact_sha256 is None:
            return
        client = self._inference()
        if open_artifact is not None:
            client.ensure_model(model.artifact_sha256, open_artifact)
        elif not client.has_model(model.artifact_sha256):
            raise ProviderRejectedError(
                "The inference program does not have this model.", code="model_missing"
            )

    def chat(self, request: ChatRequest) -> ChatReply:
        return self._inference().chat(request)

    @classmethod
    def streaming(
        cls,
        *,
        inference_socket: Path | None = None,
        inference_url: str | None = None,
        inference_token: str | None = None,
    ) -> StreamingInferenceClient:
        """The same answers inside an event loop."""
        return StreamingInferenceClient(
            socket=inference_socket, url=inference_url, token=inference_token or None
        )

    def health(self) -> dict[str, Any]:
        return self._inference().health()

    def _inference(self) -> InferenceClient:
        if self._client is None:
            raise ProviderRejectedError("No local inference program is configured.", code="no_inference")
        return self._client
