"""Errors of the libraries that read a model's files, turned into refusals of that model."""

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
"""What config.json and tokenizer files with wrong values make transformers, TransformerLens and torch raise."""


@contextmanager
def refuse_faults(folder: Path) -> Iterator[None]:
    """Raise `ModelRefused` in place of whatever reading these files made a library raise.

    An `ImportError` names the package that the architecture wants.
    """
    try:
        yield
    except AuditError:
        raise
    except ImportError as error:
        raise ModelRefused(
            f"{folder.name} did not load: its architecture wants a package that is not installed: {_say(error)}",
            wanted="a model that loads with what is installed.",
            remedy="install that package if you trust it, or use another model.",
        ) from error
    except _FAULTS as error:
        raise _refuse(folder, error) from error
    except BaseException as error:
        # The tokenizer library raises plain `Exception`, and panics as a direct child of `BaseException`.
        if type(error) is Exception or type(error).__name__ == "PanicException":
            raise _refuse(folder, error) from error
        raise


def _refuse(folder: Path, error: BaseException) -> ModelRefused:
    return ModelRefused(
        f"{folder.name} did not load: {type(error).__name__}: {_say(error)}",
        wanted="a decoder-only transformer that TransformerLens knows.",
        remedy="check the folder, or use another model.",
    )


def _say(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
