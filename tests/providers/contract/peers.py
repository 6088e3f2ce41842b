"""The stand-ins that the contract suite runs over, one a line."""

from tests.providers.contract.peer import Peer
from tests.providers.fireworks_peer import FireworksPeer
from tests.providers.openai_peer import OpenAIPeer
from tests.providers.together_peer import TogetherPeer

PEERS: tuple[type[Peer], ...] = (
    FireworksPeer,
    OpenAIPeer,
    TogetherPeer,
)  # fmt: skip
