"""The provider of the inference program: one a process and address, and none left open."""

import pytest
from django.conf import LazySettings

from apps.registry.inference import provider_for
from apps.registry.models import BaseModel
from tests.evaluations.inference_server import InferenceServer


def test_another_address_closes_the_connections_to_the_old_one(settings: LazySettings) -> None:
    base, servers = BaseModel(provider="local", reference="some"), [InferenceServer(), InferenceServer()]
    settings.FTPORTAL_INFERENCE_URL = servers[0].url
    first = provider_for(base)
    assert provider_for(base) is first
    assert first.health()["status"] == "ok"  # type: ignore[attr-defined]

    settings.FTPORTAL_INFERENCE_URL = servers[1].url
    second = provider_for(base)

    assert second is not first
    with pytest.raises(RuntimeError, match="closed"):
        first.health()  # type: ignore[attr-defined]
    assert second.health()["status"] == "ok"  # type: ignore[attr-defined]
    for server in servers:
        server.close()
