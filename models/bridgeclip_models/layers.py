"""Layers of CLIP's transformers as ONNX nodes, on one sequence: values are [tokens, width].

Node names are the module paths of the PyTorch model. They are a contract, because tools find layers by them.
"""

import math
from dataclasses import dataclass

import numpy as np

from .graph import GraphBuilder

_MASKED = np.float32(-1e9)  # finite, so that arithmetic cannot turn it into NaN; its exp() is 0


@dataclass(frozen=True)
class Transformer:
    """Properties that all blocks of a tower share."""

    prefix: str  # prefix of the block names, such as `visual.transformer.resblocks`
    tokens: int
    width: int
    heads: int
    layers: int
    epsilon: float  # epsilon of the layer norms
    quick_gelu: bool
    layer_scale: bool
    causal: bool


def linear(graph: GraphBuilder, name: str, x: str, weight: str, bias: str | None = None, *, transposed: bool = True) -> str:
    """Adds x W^T + b. With `transposed=False` the weight is stored as [in, out], and the product is x W + b."""
    operands = [x, graph.weight(weight)] + ([graph.weight(bias)] if bias else [])
    return graph.node("Gemm", name, *operands, transB=int(transposed))


def layer_norm(graph: GraphBuilder, name: str, x: str, epsilon: float) -> str:
    weight, bias = graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")
    return graph.node("LayerNormalization", name, x, weight, bias, axis=-1, epsilon=epsilon)


def transformer(graph: GraphBuilder, shape: Transformer, x: str) -> str:
    """Adds all residual blocks, one after another."""
    for index in range(shape.layers):
        x = _block(graph, shape, f"{shape.prefix}.{index}", x)
    return x


def _block(graph: GraphBuilder, shape: Transformer, name: str, x: str) -> str:
    normed = layer_norm(graph, f"{name}.ln_1", x, shape.epsilon)
    branch = _attention(graph, shape, f"{name}.attn", normed)
    x = graph.node("Add", f"{name}.add_1", x, _layer_scale(graph, shape, f"{name}.ls_1", branch))
    normed = layer_norm(graph, f"{name}.ln_2", x, shape.epsilon)
    branch = _mlp(graph, shape, f"{name}.mlp", normed)
    return graph.node("Add", f"{name}.add_2", x, _layer_scale(graph, shape, f"{name}.ls_2", branch))


def _layer_scale(graph: GraphBuilder, shape: Transformer, name: str, x: str) -> str:
    return graph.node("Mul", name, x, graph.weight(f"{name}.gamma")) if shape.layer_scale else x


def _attention(graph: GraphBuilder, shape: Transformer, name: str, x: str) -> str:
    qkv = linear(graph, f"{name}.in_proj", x, f"{name}.in_proj_weight", f"{name}.in_proj_bias")
    thirds = graph.constant(f"split.{shape.width}", [shape.width] * 3)
    names = tuple(f"{name}.split.{part}" for part in "qkv")
    q, k, v = graph.nodes("Split", f"{name}.split", qkv, thirds, outputs=names, axis=1)
    q = _heads(graph, shape, f"{name}.q", q, perm=[1, 0, 2])  # [heads, tokens, head width]
    k = _heads(graph, shape, f"{name}.k", k, perm=[1, 2, 0])  # [heads, head width, tokens]
    v = _heads(graph, shape, f"{name}.v", v, perm=[1, 0, 2])
    weights = _attention_weights(graph, shape, name, q, k)
    context = graph.node("MatMul", f"{name}.context", weights, v)
    context = graph.node("Transpose", f"{name}.context.transpose", context, perm=[1, 0, 2])
    context = graph.reshape(f"{name}.context.reshape", context, [shape.tokens, shape.width])
    return linear(graph, f"{name}.out_proj", context, f"{name}.out_proj.weight", f"{name}.out_proj.bias")


def _heads(graph: GraphBuilder, shape: Transformer, name: str, x: str, perm: list[int]) -> str:
    x = graph.reshape(f"{name}.reshape", x, [shape.tokens, shape.heads, shape.width // shape.heads])
    return graph.node("Transpose", f"{name}.transpose", x, perm=perm)


def _attention_weights(graph: GraphBuilder, shape: Transformer, name: str, q: str, k: str) -> str:
    """Adds the softmax over the keys: [heads, tokens, tokens]."""
    scale = 1 / math.sqrt(shape.width // shape.heads)
    scores = graph.node("MatMul", f"{name}.scores", q, k)
    scores = graph.node("Mul", f"{name}.scale", scores, graph.constant("attention.scale", scale))
    if shape.causal:
        mask = np.triu(np.full((shape.tokens, shape.tokens), _MASKED), k=1)
        scores = graph.node("Add", f"{name}.mask", scores, graph.constant("attention.causal_mask", mask))
    return graph.node("Softmax", f"{name}.softmax", scores, axis=-1)


def _mlp(graph: GraphBuilder, shape: Transformer, name: str, x: str) -> str:
    x = linear(graph, f"{name}.c_fc", x, f"{name}.c_fc.weight", f"{name}.c_fc.bias")
    x = (_quick_gelu if shape.quick_gelu else _gelu)(graph, f"{name}.gelu", x)
    return linear(graph, f"{name}.c_proj", x, f"{name}.c_proj.weight", f"{name}.c_proj.bias")


def _gelu(graph: GraphBuilder, name: str, x: str) -> str:
    """Adds 0.5 x (1 + erf(x / sqrt 2)), as opset 17 has no Gelu."""
    y = graph.node("Mul", f"{name}.scale", x, graph.constant("gelu.sqrt_half", math.sqrt(0.5)))
    y = graph.node("Erf", f"{name}.erf", y)
    y = graph.node("Add", f"{name}.add", y, graph.constant("gelu.one", 1.0))
    y = graph.node("Mul", f"{name}.mul", x, y)
    return graph.node("Mul", f"{name}.half", y, graph.constant("gelu.half", 0.5))


def _quick_gelu(graph: GraphBuilder, name: str, x: str) -> str:
    """Adds x sigmoid(1.702 x)."""
    y = graph.node("Mul", f"{name}.scale", x, graph.constant("gelu.quick", 1.702))
    y = graph.node("Sigmoid", f"{name}.sigmoid", y)
    return graph.node("Mul", f"{name}.mul", x, y)
