"""Models of tables: shipped by name, or an ONNX file of the user, which is checked and kept under its digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from audit_core.component import Component, Kind
from audit_core.engine.onnx_model import OnnxTables
from audit_core.errors import InterventionRefused, ModelRefused, PromptRefused
from audit_core.models import ModelAccess, ModelIdentity, Progress, identify_model
from audit_core.models.identity import ONNX_FILE
from audit_core.prompts.answers import TokenLimits
from audit_core.subject import Geometry, Subject
from audit_core.subject_family import SubjectFamily
from audit_core.tabular.kept import MODEL_TYPE, find_kept, is_kept_name, keep_onnx, read_bounded
from audit_core.tabular.prompts import NO_ID, NO_WORD, YES_ID, YES_WORD, number_id
from audit_core.tabular.shipped import FOLDER, MODELS
from audit_core.tabular.table import MAX_FEATURES


class NumberWords:
    """Implements `Tokenizer`: a number is a word and a token, and so are yes and no."""

    bos_id: int | None = None
    limits = TokenLimits(n_tokens=NO_ID + 1, n_positions=MAX_FEATURES)

    def encode(self, text: str) -> list[int]:
        decisions = {YES_WORD: YES_ID, NO_WORD: NO_ID}
        try:
            return [decisions[word] if word in decisions else number_id(word) for word in text.split()]
        except ValueError:
            raise PromptRefused(
                f"{ascii(text)[:40]} to a model of tables.", wanted="numbers.",
                remedy="choose a language model, or ask `audit tabular` with a file of rows.",
            ) from None  # fmt: skip

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def piece(self, token_id: int) -> str:
        return {YES_ID: YES_WORD, NO_ID: NO_WORD}.get(token_id, str(token_id))

    def render_chat(self, message: str, reply: str | None = None) -> str:
        raise ModelRefused("The chat template of a model of tables.", wanted="rows.", remedy="leave out `--chat`.")


class TabularSubject(OnnxTables):
    """Implements `Subject` and `Tables`. Its inputs are changed, and nothing inside."""

    tolerance, fallback = 1e-3, ""

    def __init__(self, folder: Path) -> None:
        path = folder / ONNX_FILE
        super().__init__(read_bounded(path) if path.is_file() else b"")
        self.identity: ModelIdentity = identify_model(folder, dtype="float32", attention="none")
        self.geometry = Geometry(0, 0, 0, 0, 0, 0, NO_ID + 1)
        self.tokenizer = NumberWords()

    def components(self, kind: Kind) -> tuple[Component, ...]:
        return ()

    def count_work(self, *_: Any, **__: Any) -> NoReturn:
        raise InterventionRefused(
            "An intervention inside a model of tables.",
            wanted="a change of its inputs.",
            remedy="ask `audit tabular`.",
        )

    run = count_work


@dataclass(frozen=True)
class TabularFamily(SubjectFamily):
    """Not listed in the menus of language models: the page Decisions offers its own."""

    name: str = "tabular"
    question: str = "By which features does a model of tables decide?"

    def find_folder(self, name: str, *, on_progress: Progress | None, access: ModelAccess) -> Path | None:
        path = Path(name).expanduser()
        if name.endswith(".onnx") and access.names_paths and path.is_file():
            name = keep_onnx(read_bounded(path))
        folder = self.find_here(name)
        if folder is None and is_kept_name(name):
            raise ModelRefused(f"{name[:17]}… is not kept here.", wanted="a kept file.", remedy="upload it again.")
        return folder

    def find_here(self, name: str) -> Path | None:
        return FOLDER / name if name in MODELS else find_kept(name)

    def opens(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == MODEL_TYPE

    def load(self, folder: Path) -> Subject:
        return TabularSubject(folder)


PLUGIN = TabularFamily()
