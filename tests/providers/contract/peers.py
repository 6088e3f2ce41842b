"""The stand-ins that the contract suite runs over, one a line."""

from tests.providers.bedrock_peer import BedrockPeer
from tests.providers.contract.peer import Peer
from tests.providers.fireworks_peer import FireworksPeer
from tests.providers.openai_peer import OpenAIPeer
from tests.providers.together_peer import TogetherPeer
from tests.providers.vertex_peer import VertexPeer

PEERS: tuple[type[Peer], ...] = (BedrockPeer, FireworksPeer, OpenAIPeer, TogetherPeer, VertexPeer)
