"""The stand-ins that the contract suite runs over, one a line."""

from tests.providers.contract.peer import Peer
from tests.providers.openai_peer import OpenAIPeer

PEERS: tuple[type[Peer], ...] = (
    OpenAIPeer,
)  # fmt: skip
