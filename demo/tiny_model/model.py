"""A Llama forward pass for pre-training on a CPU, with the parameter names of transformers' LlamaForCausalLM.

It differs from the library's only in how it is computed: products in bfloat16, attention as two plain matrix
products under a block-diagonal mask, and logits only where a target is scored.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The sizes of the model; `parameters` follows from them."""

    vocabulary: int = 2048
    hidden: int = 192
    intermediate: int = 512
    layers: int = 5
    heads: int = 3
    positions: int = 1024
    rope_theta: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head(self) -> int:
        return self.hidden // self.heads


def linear(x: Tensor, weight: Tensor) -> Tensor:
    return functional.linear(x, weight.to(torch.bfloat16))


class Norm(nn.Module):
    """Root mean square normalisation (Zhang and Sennrich, 2019), computed in float32."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return (x * self.weight).to(torch.bfloat16)


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(shape.hidden, shape.hidden, bias=False))

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, bias: Tensor) -> Tensor:
        rows, length, hidden = x.shape
        heads, head = self.shape.heads, self.shape.head

        def split(module: nn.Linear) -> Tensor:
            return linear(x, module.weight).view(rows, length, heads, head).transpose(1, 2)

        query = rotate(split(self.q_proj), cosine, sine)
        key = rotate(split(self.k_proj), cosine, sine)
        scores = query @ key.transpose(-1, -2) * head**-0.5 + bias
        weights = torch.softmax(scores.float(), dim=-1).to(torch.bfloat16)
        mixed = (weights @ split(self.v_proj)).transpose(1, 2).reshape(rows, length, hidden)
        return linear(mixed, self.o_proj.weight)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding in the half-split layout that transformers uses."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x.float() * cosine + turned * sine).to(torch.bfloat16)


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down_proj = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = functional.silu(linear(x, self.gate_proj.weight))
        return linear(gate * linear(x, self.up_proj.weight), self.down_proj.weight)


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.input_layernorm = Norm(shape.hidden, shape.norm_epsilon)
        self.post_attention_layernorm = Norm(shape.hidden, shape.norm_epsilon)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, bias: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine, bias)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.hidden, shape.norm_epsilon)


class TinyLlama(nn.Module):
    """Embedding and output head share one matrix, so `state_dict` has no `lm_head.weight`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Body(shape)
        frequency = shape.rope_theta ** (-torch.arange(0, shape.head, 2).float() / shape.head)
        angle = torch.outer(torch.arange(shape.positions).float(), frequency)
        angle = torch.cat((angle, angle), dim=-1)
        self.register_buffer("cosine", angle.cos(), persistent=False)
        self.register_buffer("sine", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scale = 0.02 / (2 * shape.layers) ** 0.5 if name.endswith(RESIDUAL_OUTPUTS) else 0.02
                nn.init.normal_(parameter, std=scale)

    def forward(self, tokens: Tensor, document: Tensor, position: Tensor, chosen: Tensor) -> Tensor:
        """Logits (rows, chosen, vocabulary) at the positions in `chosen`; attention stays inside a document."""
        length = tokens.shape[1]
        same = document[:, :, None] == document[:, None, :]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        bias = torch.where(same & causal, 0.0, -1e4).to(torch.bfloat16)[:, None]
        cosine = self.cosine[position][:, None]  # type: ignore[index]
        sine = self.sine[position][:, None]  # type: ignore[index]
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, cosine, sine, bias)
        x = self.model.norm(x)
        x = torch.gather(x, 1, chosen[:, :, None].expand(-1, -1, x.shape[-1]))
        return linear(x, self.model.embed_tokens.weight).float()


RESIDUAL_OUTPUTS = ("o_proj.weight", "down_proj.weight")
