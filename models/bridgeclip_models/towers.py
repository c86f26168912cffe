"""The image encoder and the text encoder as ONNX graphs, each for a single image or text."""

from collections.abc import Mapping

import torch
from onnx import TensorProto, helper
from open_clip.model import CLIPTextCfg, CLIPVisionCfg

from .architecture import Architecture, check_exportable
from .graph import Graph, GraphBuilder
from .layers import Transformer, layer_norm, linear, transformer

IMAGE_GRAPH = "image.onnx"
IMAGE_WEIGHTS = "image.weights"
TEXT_GRAPH = "text.onnx"
TEXT_WEIGHTS = "text.weights"

_DEFAULT_EPSILON = 1e-5  # default of torch.nn.LayerNorm


def image_graph(state_dict: Mapping[str, torch.Tensor], architecture: Architecture, store: str = "f32") -> Graph:
    """Builds the image encoder: `image` [1, 3, size, size], normalised pixels -> `embedding` [1, dim], not normalised."""
    check_exportable(architecture)
    vision = architecture.vision
    shape = _vision_transformer(architecture)
    graph = GraphBuilder(state_dict, IMAGE_WEIGHTS, store)
    x = _patch_tokens(graph, vision)
    if not vision.no_ln_pre:
        x = layer_norm(graph, "visual.ln_pre", x, shape.epsilon)
    x = transformer(graph, shape, x)
    x = _pool_image(graph, vision, shape, x)
    x = linear(graph, "visual.proj", x, "visual.proj", transposed=False)
    size = vision.image_size
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])
    return graph.finish("image_encoder", x, image, architecture.embedding_dim)


def text_graph(state_dict: Mapping[str, torch.Tensor], architecture: Architecture, store: str = "f32") -> Graph:
    """Builds the text encoder: `tokens` [1, context length], int64 -> `embedding` [1, dim], not normalised."""
    check_exportable(architecture)
    text, prefix = architecture.text, architecture.text_prefix
    shape = _text_transformer(architecture)
    graph = GraphBuilder(state_dict, TEXT_WEIGHTS, store)
    x = graph.node("Gather", f"{prefix}token_embedding", graph.weight(f"{prefix}token_embedding.weight"), "tokens", axis=0)
    x = graph.reshape(f"{prefix}token_embedding.reshape", x, [shape.tokens, shape.width])
    x = graph.node("Add", f"{prefix}positional_embedding", x, graph.weight(f"{prefix}positional_embedding"))
    x = transformer(graph, shape, x)
    # The layer norm treats each token alone, so pooling first gives the same result with less work.
    x = graph.node("Gather", f"{prefix}pool", x, _pooled_position(graph, prefix, text), axis=0)
    x = layer_norm(graph, f"{prefix}ln_final", x, shape.epsilon)
    x = _project_text(graph, prefix, text, x)
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, text.context_length])
    return graph.finish("text_encoder", x, tokens, text_dim(architecture))


def text_dim(architecture: Architecture) -> int:
    """Returns the length of a text embedding: without a projection, the width of the tower."""
    return architecture.text.width if architecture.text.proj_type == "none" else architecture.embedding_dim


def _vision_transformer(architecture: Architecture) -> Transformer:
    vision = architecture.vision
    return Transformer(
        prefix="visual.transformer.resblocks",
        tokens=(vision.image_size // vision.patch_size) ** 2 + 1,
        width=vision.width,
        heads=vision.width // vision.head_width,
        layers=vision.layers,
        epsilon=_epsilon(vision),
        quick_gelu=architecture.quick_gelu,
        layer_scale=vision.ls_init_value is not None,
        causal=False,
    )


def _text_transformer(architecture: Architecture) -> Transformer:
    text = architecture.text
    return Transformer(
        prefix=f"{architecture.text_prefix}transformer.resblocks",
        tokens=text.context_length,
        width=text.width,
        heads=text.heads,
        layers=text.layers,
        epsilon=_epsilon(text),
        quick_gelu=architecture.quick_gelu,
        layer_scale=text.ls_init_value is not None,
        causal=not text.no_causal_mask,
    )


def _epsilon(tower: CLIPVisionCfg | CLIPTextCfg) -> float:
    return (tower.norm_kwargs or {}).get("eps", _DEFAULT_EPSILON)


def _patch_tokens(graph: GraphBuilder, vision: CLIPVisionCfg) -> str:
    """Adds the class token and the patches with their positions: [grid * grid + 1, width]."""
    patch, width = vision.patch_size, vision.width
    grid = vision.image_size // patch
    pixels = 3 * patch * patch
    x = graph.reshape("visual.patches.reshape", "image", [3, grid, patch, grid, patch])
    x = graph.node("Transpose", "visual.patches.transpose", x, perm=[1, 3, 0, 2, 4])
    x = graph.reshape("visual.patches", x, [grid * grid, pixels])
    # A convolution whose stride equals its size is a linear layer on the patches.
    weight = graph.reshape("visual.conv1.weight.reshape", graph.weight("visual.conv1.weight"), [width, pixels])
    x = graph.node("Gemm", "visual.conv1", x, weight, transB=1)
    token = graph.reshape("visual.class_embedding.reshape", graph.weight("visual.class_embedding"), [1, width])
    x = graph.node("Concat", "visual.class_embedding.concat", token, x, axis=0)
    return graph.node("Add", "visual.positional_embedding.add", x, graph.weight("visual.positional_embedding"))


def _pool_image(graph: GraphBuilder, vision: CLIPVisionCfg, shape: Transformer, x: str) -> str:
    """Pools the class token, or the mean of the patches, with the final layer norm: [1, width]."""
    if vision.pool_type == "tok":
        # The layer norm treats each token alone, so it can follow the pooling.
        x = _rows(graph, "visual.pool", x, 0, 1)
        return layer_norm(graph, "visual.ln_post", x, shape.epsilon)
    if not vision.final_ln_after_pool:
        x = layer_norm(graph, "visual.ln_post", x, shape.epsilon)
    x = _rows(graph, "visual.pool.patches", x, 1, shape.tokens)
    x = graph.node("ReduceMean", "visual.pool", x, axes=[0], keepdims=1)
    return layer_norm(graph, "visual.ln_post", x, shape.epsilon) if vision.final_ln_after_pool else x


def _rows(graph: GraphBuilder, name: str, x: str, start: int, end: int) -> str:
    bounds = [graph.constant(f"{name}.{key}", [value]) for key, value in (("start", start), ("end", end), ("axis", 0))]
    return graph.node("Slice", name, x, *bounds)


def _pooled_position(graph: GraphBuilder, prefix: str, text: CLIPTextCfg) -> str:
    """Returns the index of the token that represents the text: int64 [1]."""
    if text.pool_type == "first":
        return graph.constant("pool.position", [0])
    if text.pool_type == "last":
        return graph.constant("pool.position", [text.context_length - 1])
    # argmax and eos are the same: the end token has the highest number, and both take its first place.
    return graph.node("ArgMax", f"{prefix}pool.position", "tokens", axis=1, keepdims=0)


def _project_text(graph: GraphBuilder, prefix: str, text: CLIPTextCfg, x: str) -> str:
    name = f"{prefix}text_projection"
    if text.proj_type == "none":
        return x
    if text.proj_bias:
        return linear(graph, name, x, f"{name}.weight", f"{name}.bias")
    return linear(graph, name, x, name, transposed=False)
