"""Construction of an ONNX graph from a state dict: named values, named nodes, and weights in a file beside the graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from .errors import UserError

OPSET = 17
IR_VERSION = 8
ALIGNMENT = 64  # bytes; alignment of each tensor in the weights file, which allows its use in a memory map

_STORED = {"f32": (TensorProto.FLOAT, np.dtype("<f4")), "f16": (TensorProto.FLOAT16, np.dtype("<f2"))}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of the weights file."""

    name: str  # name in the state dict
    values: np.ndarray  # in the stored type, little-endian
    offset: int  # bytes from the start of the file


@dataclass(frozen=True)
class Graph:
    """A finished graph and the content of its weights file."""

    model: onnx.ModelProto
    tensors: list[StoredTensor]

    def write(self, path: Path) -> None:
        """Writes `path` (.onnx) and the weights beside it (.weights)."""
        path.write_bytes(self.model.SerializeToString(deterministic=True))
        with path.with_suffix(".weights").open("wb") as file:
            for tensor in self.tensors:
                file.write(bytes(tensor.offset - file.tell()))
                file.write(tensor.values.tobytes())


class GraphBuilder:
    """Collects nodes and weights. Its methods take and return names of values, which derive from the names of their nodes."""

    def __init__(self, state_dict: Mapping[str, torch.Tensor], weights_file: str, store: str) -> None:
        self._state_dict = state_dict
        self._weights_file = weights_file
        self._type, self._dtype = _STORED[store]
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._tensors: list[StoredTensor] = []
        self._values: dict[str, str] = {}  # weight name -> name of its float32 value

    def node(self, op: str, name: str, *inputs: str, **attributes: object) -> str:
        """Adds a node with one output."""
        return self.nodes(op, name, *inputs, outputs=(f"{name}.output",), **attributes)[0]

    def nodes(self, op: str, name: str, *inputs: str, outputs: tuple[str, ...], **attributes: object) -> tuple[str, ...]:
        """Adds a node with several outputs."""
        self._nodes.append(helper.make_node(op, list(inputs), list(outputs), name=name, **attributes))
        return outputs

    def weight(self, name: str) -> str:
        """Returns a tensor of the checkpoint as a float32 value. It enters the weights file at its first use."""
        if name not in self._values:
            self._store(name)
            stored_as_float = self._type == TensorProto.FLOAT
            self._values[name] = name if stored_as_float else self.node("Cast", f"{name}.cast", name, to=TensorProto.FLOAT)
        return self._values[name]

    def constant(self, name: str, value: np.ndarray | list[int] | float) -> str:
        """Returns a small constant inside the graph file: int64 for lists (shapes), float32 otherwise."""
        if name not in self._initializers:
            array = np.asarray(value, dtype=np.int64 if isinstance(value, list) else np.float32)
            self._initializers[name] = numpy_helper.from_array(array, name)
        return name

    def reshape(self, name: str, value: str, shape: list[int]) -> str:
        # Nodes share shapes, which are therefore named after their content.
        return self.node("Reshape", name, value, self.constant("shape." + "x".join(map(str, shape)), shape))

    def finish(self, name: str, output: str, input_info: onnx.ValueInfoProto, dim: int) -> Graph:
        """Closes the graph. The value `output` becomes the graph's output `embedding` [1, dim]."""
        self._nodes[-1].output[list(self._nodes[-1].output).index(output)] = "embedding"
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, dim])
        graph = helper.make_graph(self._nodes, name, [input_info], [embedding], list(self._initializers.values()))
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="bridgeclip-models")
        return Graph(model, self._tensors)

    def _store(self, name: str) -> None:
        with np.errstate(over="ignore"):  # what overflows is refused below
            values = np.ascontiguousarray(self._state_dict[name].detach().cpu().numpy().astype(self._dtype))
        if not np.isfinite(values).all():
            raise UserError(f"{name}: holds values that do not fit {values.dtype}; store the weights as f32 (--store f32)")
        end = self._tensors[-1].offset + self._tensors[-1].values.nbytes if self._tensors else 0
        tensor = StoredTensor(name, values, -(-end // ALIGNMENT) * ALIGNMENT)
        self._tensors.append(tensor)
        self._initializers[name] = self._external(tensor)

    def _external(self, tensor: StoredTensor) -> onnx.TensorProto:
        proto = TensorProto(name=tensor.name, data_type=self._type, dims=tensor.values.shape)
        proto.data_location = TensorProto.EXTERNAL
        place = {"location": self._weights_file, "offset": tensor.offset, "length": tensor.values.nbytes}
        for key, value in place.items():
            proto.external_data.add(key=key, value=str(value))
        return proto
