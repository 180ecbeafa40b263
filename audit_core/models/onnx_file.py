"""Checks of an ONNX file before it is opened: bounded, of known operators, without references to other files.

Reads the wire format of protocol buffers itself, so that nothing of the file is run or loaded to check it.
Source of field numbers: onnx/onnx.proto, version 1.17 (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto).
"""

from __future__ import annotations

from collections.abc import Iterator

from audit_core.errors import ModelRefused

MAX_BYTES, MAX_NODES = 8_000_000, 2_000
OPERATORS = frozenset(
    [
        "Abs",
        "Add",
        "ArrayFeatureExtractor",
        "BatchNormalization",
        "Binarizer",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Div",
        "Dropout",
        "Elu",
        "Equal",
        "Exp",
        "FeatureVectorizer",
        "Flatten",
        "Gather",
        "Gemm",
        "Greater",
        "Identity",
        "Imputer",
        "LeakyRelu",
        "Less",
        "LinearClassifier",
        "LinearRegressor",
        "Log",
        "LogSoftmax",
        "MatMul",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Normalizer",
        "Not",
        "Or",
        "And",
        "Pow",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "SVMClassifier",
        "SVMRegressor",
        "Scaler",
        "Selu",
        "Sigmoid",
        "Softmax",
        "Softplus",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Tanh",
        "Transpose",
        "TreeEnsemble",
        "TreeEnsembleClassifier",
        "TreeEnsembleRegressor",
        "Unsqueeze",
        "Where",
        "ZipMap",
        "ArgMax",
    ]
)
"""Operators of classifiers and regressors of tables. None repeats a part of the graph, draws a number or opens a file."""
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_GRAPH, _TRAINING, _FUNCTIONS = 7, 20, 25
_NODE, _INITIALISER, _SPARSE = 1, 5, 15
_ATTRIBUTE, _OPERATOR, _DOMAIN = 5, 4, 7
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS = 5, 6, 10, 11
_EXTERNAL, _LOCATION = 13, 14
Field = tuple[int, bytes]


def check_onnx(raw: bytes) -> None:
    """Raise `ModelRefused` unless these bytes are an ONNX model that may be opened."""
    if not 0 < len(raw) <= MAX_BYTES:
        raise _refuse(f"A file of {len(raw):,} bytes", f"an ONNX file of at most {MAX_BYTES:,} bytes")
    model = list(_list_fields(raw))
    graphs = [body for number, body in model if number == _GRAPH]
    if len(graphs) != 1:
        raise _refuse(f"A file with {len(graphs)} graphs", "an ONNX model, with one graph")
    if any(number in (_TRAINING, _FUNCTIONS) for number, _ in model):
        raise _refuse("A model with functions or training steps", "plain operators")
    graph = list(_list_fields(graphs[0]))
    nodes = [body for number, body in graph if number == _NODE]
    if not 0 < len(nodes) <= MAX_NODES:
        raise _refuse(f"A graph of {len(nodes):,} operators", f"1 to {MAX_NODES:,}")
    if any(number == _SPARSE for number, _ in graph):
        raise _refuse("A sparse tensor", "dense tensors")
    for number, body in graph:
        if number == _INITIALISER:
            _check_tensor(body)
    for node in nodes:
        _check_node(node)


def _check_node(node: bytes) -> None:
    fields = list(_list_fields(node))
    name = b"".join(body for number, body in fields if number == _OPERATOR).decode("ascii", "replace")
    domain = b"".join(body for number, body in fields if number == _DOMAIN).decode("ascii", "replace")
    if name not in OPERATORS or domain not in _DOMAINS:
        raise _refuse(f"The operator {ascii(name)[:40]} of {ascii(domain)[:40]}", "operators of classifiers of tables")
    for number, attribute in fields:
        for inner, body in _list_fields(attribute) if number == _ATTRIBUTE else ():
            if inner in (_SUBGRAPH, _SUBGRAPHS):
                raise _refuse(f"A graph inside the operator {name}", "one graph")
            if inner in (_TENSOR, _TENSORS):
                _check_tensor(body)


def _check_tensor(tensor: bytes) -> None:
    for number, body in _list_fields(tensor):
        if number == _EXTERNAL or (number == _LOCATION and body.strip(b"\0")):
            raise _refuse("A tensor that is kept in another file", "all numbers in the ONNX file")


def _list_fields(raw: bytes) -> Iterator[Field]:
    """Number and content of each field of a message; a whole number is given as its eight bytes.

    Raises:
        ModelRefused: the bytes are no message.
    """
    at = 0
    while at < len(raw):
        key, at = _read_number(raw, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _read_number(raw, at)
            yield number, (value & (2**64 - 1)).to_bytes(8, "little")
            continue
        size = 8 if kind == 1 else 4 if kind == 5 else -1
        if kind == 2:
            size, at = _read_number(raw, at)
        if size < 0 or at + size > len(raw):
            raise _refuse("Bytes that do not parse", "an ONNX file")
        yield number, raw[at : at + size]
        at += size


def _read_number(raw: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        found |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return found, at
    raise _refuse("Bytes that do not parse", "an ONNX file")


def _refuse(found: str, wanted: str) -> ModelRefused:
    return ModelRefused(
        f"{found}.",
        wanted=f"{wanted}.",
        remedy="export the model again, for example with skl2onnx; no pickle is opened.",
    )
