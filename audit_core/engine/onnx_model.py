"""An ONNX model of tables, opened with onnxruntime on one thread."""

from __future__ import annotations

from functools import cache
from threading import Timer
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import ModelRefused, Refused
from audit_core.models.onnx_file import check_onnx

MAX_MEMORY_BYTES = 256 * 1024**2
"""Memory of all sessions' tensors: allowed operators alone can double a tensor a thousand times."""
MAX_SECONDS = 60.0
"""Of one call; asked for between two operators, each of which is bounded by the memory."""
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}


class OnnxTables:
    """Implements `Tables`: one input of all features, or one input a feature."""

    def __init__(self, raw: bytes) -> None:
        check_onnx(raw)
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ModelRefused(
                "An ONNX file, and the package onnxruntime is not installed.", wanted="onnxruntime.",
                remedy="`pip install 'assay[explain]'`.",
            ) from error  # fmt: skip
        _bound_memory()
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Optimising folds constants, which runs operators of the file while it is opened, outside the bounds of a run.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        except list_errors() as error:
            raise ModelRefused(
                f"An ONNX file that does not open: {str(error)[:200]}.", wanted="a valid model.",
                remedy="export it again for this version of ONNX.",
            ) from error  # fmt: skip
        self._inputs = [(one.name, one.type, one.shape) for one in self._session.get_inputs()]
        if bad := [kind for _, kind, _ in self._inputs if kind not in _TYPES]:
            raise ModelRefused(
                f"An input of type {bad[0]}.",
                wanted="numbers.",
                remedy="export the model without its encoding of words.",
            )
        self.names: tuple[str, ...] = tuple(name for name, _, _ in self._inputs) if len(self._inputs) > 1 else ()
        width = self._inputs[0][2][-1] if len(self._inputs) == 1 and self._inputs[0][2] else len(self._inputs)
        self.n_features: int = width if isinstance(width, int) else 0
        """0 where the file does not say."""
        self._output = _pick_output(self._session.get_outputs())

    def read_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Outputs of the model; shape (row, feature) → (row, output)."""
        if self.n_features and rows.shape[1] != self.n_features:
            raise Refused(
                f"{rows.shape[1]} features.", wanted=f"{self.n_features}, in the model's order.",
                remedy="name the outcome column, and leave other columns out.",
            )  # fmt: skip
        if len(self._inputs) == 1:
            name, kind, _ = self._inputs[0]
            given = {name: rows.astype(_TYPES[kind])}
        else:
            given = {
                name: rows[:, [at]].astype(_TYPES[kind]) for at, (name, kind, _) in enumerate(self._inputs)
            }  # fmt: skip
        try:
            (found,) = self._run(given)
        except list_errors() as error:
            if "bfc_arena" in str(error):
                raise Refused(
                    f"A model that needs more than {MAX_MEMORY_BYTES >> 20} MB for {len(rows)} rows.",
                    wanted="a model of a table.", remedy="give fewer rows; if one row is too much, use another model.",
                ) from error  # fmt: skip
            raise Refused(
                f"Rows that the model does not take: {str(error)[:200]}.", wanted="rows of its features.",
                remedy="compare the columns with those that it was trained on.",
            ) from error  # fmt: skip
        if isinstance(found, list):
            # A ZipMap: one mapping of classes a row.
            found = [[row[key] for key in sorted(row)] for row in found]
        if len(found) != len(rows):
            raise Refused(
                f"{len(found)} outputs for {len(rows)} rows.", wanted="one for each row.",
                remedy="use a model that scores row by row.",
            )  # fmt: skip
        return np.asarray(found, float).reshape(len(rows), -1)

    def _run(self, given: dict[str, NDArray[Any]]) -> Any:
        import onnxruntime

        options = onnxruntime.RunOptions()
        ended = False

        def stop() -> None:
            nonlocal ended
            ended = options.terminate = True

        timer = Timer(MAX_SECONDS, stop)
        timer.daemon = True
        timer.start()
        try:
            return self._session.run([self._output], given, options)
        except list_errors() as error:
            if not ended:
                raise
            raise Refused(
                f"A model that did not answer within {MAX_SECONDS:.0f} s.", wanted="a model of a table.",
                remedy="give fewer rows, or use another model.",
            ) from error  # fmt: skip
        finally:
            timer.cancel()


@cache
def _bound_memory() -> None:
    """One arena for all sessions of this process; a tensor that does not fit is an error of its operator."""
    import onnxruntime

    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    # By request and not by powers of two, so that the bound is used up by what is needed.
    arena = onnxruntime.OrtArenaCfg({"max_mem": MAX_MEMORY_BYTES, "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(place, arena)


def list_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises: a class for each status, which have no common one of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [one for one in vars(state).values() if isinstance(one, type) and issubclass(one, Exception)]
    return (*own, RuntimeError, ValueError)


def _pick_output(outputs: Any) -> str:
    """The last output of real numbers: scikit-learn's converters give the label first and probabilities after it."""
    named = [
        one.name
        for one in outputs
        if one.type in ("tensor(float)", "tensor(double)") or one.type.startswith("seq(map(")
    ]
    if not named:
        raise ModelRefused(
            "A model without an output of real numbers.", wanted="probabilities or scores.",
            remedy="export the probabilities with the label.",
        )  # fmt: skip
    return str(named[-1])
