"""Converts errors of model libraries into `ModelRefused`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError

from audit_core.errors import AuditError, ModelRefused

_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
"""Errors that transformers, TransformerLens and torch raise for invalid config.json and tokenizer files."""


@contextmanager
def refuse_faults(folder: Path) -> Iterator[None]:
    """Raise `ModelRefused` in place of library errors while reading these files.

    An `ImportError` names the package that the architecture needs.
    """
    try:
        yield
    except AuditError:
        raise
    except ImportError as error:
        raise ModelRefused(
            f"{folder.name} did not load: its architecture needs a package that is not installed: {_format_error(error)}",
            wanted="a model that loads with the installed packages.",
            remedy="install that package if you trust it, or use another model.",
        ) from error
    except _FAULTS as error:
        raise _refuse(folder, error) from error
    except BaseException as error:
        # The tokenizer library raises plain `Exception`, and its panics derive directly from `BaseException`.
        if type(error) is Exception or type(error).__name__ == "PanicException":
            raise _refuse(folder, error) from error
        raise


def _refuse(folder: Path, error: BaseException) -> ModelRefused:
    return ModelRefused(
        f"{folder.name} did not load: {type(error).__name__}: {_format_error(error)}",
        wanted="a decoder-only transformer that TransformerLens supports.",
        remedy="check the folder, or use another model.",
    )


def _format_error(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
