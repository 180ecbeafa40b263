"""Image classifiers of a known architecture: shipped by name, or a folder with config.json and safetensors weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from audit_core.component import Component, Kind
from audit_core.engine.image_network import MODEL_TYPE, ImageNetwork, read_shape
from audit_core.engine.image_transformer import MODEL_TYPE as TRANSFORMER_TYPE
from audit_core.engine.image_transformer import ImageTransformer, read_transformer_shape
from audit_core.errors import InterventionRefused, ModelRefused, PromptRefused
from audit_core.models import ModelAccess, ModelIdentity, Progress, check_folder, identify_model
from audit_core.models.folder import CONFIG_BYTES, read_json
from audit_core.prompts.answers import TokenLimits
from audit_core.subject import Geometry, Subject
from audit_core.subject_family import SubjectFamily
from audit_core.vision.images import CLASS_ID
from audit_core.vision.shipped import FOLDER, MODELS

MAX_WEIGHT_BYTES = 8_000_000
_CLASS = "class-"


class PixelWords:
    """Implements `Tokenizer`: a grey level is a word and a token, and so is a class."""

    bos_id: int | None = None

    def __init__(self, n_pixels: int, levels: int, n_classes: int) -> None:
        self.limits = TokenLimits(n_tokens=CLASS_ID + n_classes, n_positions=n_pixels)
        self._words = {str(level): level for level in range(levels + 1)}
        self._words |= {f"{_CLASS}{label}": CLASS_ID + label for label in range(n_classes)}

    def encode(self, text: str) -> list[int]:
        words = text.split()
        if unknown := [word for word in words if word not in self._words]:
            raise PromptRefused(
                f"{ascii(unknown[0])[:40]} to an image classifier.", wanted="grey levels, row by row.",
                remedy="choose a language model, or ask `audit vision` with a file of images.",
            )  # fmt: skip
        return [self._words[word] for word in words]

    def encode_each(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]

    def piece(self, token_id: int) -> str:
        return str(token_id) if token_id < CLASS_ID else f"{_CLASS}{token_id - CLASS_ID}"

    def render_chat(self, message: str, reply: str | None = None) -> str:
        raise ModelRefused("The chat template of an image classifier.", wanted="images.", remedy="leave out `--chat`.")


class _OfImages:
    """What every image classifier has besides `Images`. Its inputs are changed, and nothing inside."""

    tolerance, fallback = 1e-4, ""
    identity: ModelIdentity
    geometry: Geometry
    tokenizer: PixelWords

    def describe(self, folder: Path, *, side: int, levels: int, classes: int, attention: str) -> None:
        self.identity = identify_model(folder, dtype="float32", attention=attention)
        self.geometry = Geometry(0, 0, 0, 0, 0, 0, CLASS_ID + classes)
        self.tokenizer = PixelWords(side**2, levels, classes)

    def components(self, kind: Kind) -> tuple[Component, ...]:
        return ()

    def count_work(self, *_: Any, **__: Any) -> NoReturn:
        raise InterventionRefused(
            "An intervention inside an image classifier.",
            wanted="a change of its images.",
            remedy="ask `audit vision`.",
        )

    run = count_work


class ImageSubject(_OfImages, ImageNetwork):
    """Implements `Subject` and `Images` with convolutions."""

    def __init__(self, folder: Path) -> None:
        shape = read_shape(read_json(folder / "config.json", limit=CONFIG_BYTES))
        super().__init__(shape, _load_weights(folder))
        self.describe(folder, side=shape.side, levels=shape.levels, classes=shape.classes, attention="none")


class ImageTransformerSubject(_OfImages, ImageTransformer):
    """Implements `Subject` and `Images` with a vision transformer, through TransformerLens."""

    def __init__(self, folder: Path) -> None:
        shape = read_transformer_shape(read_json(folder / "config.json", limit=CONFIG_BYTES))
        super().__init__(shape, _load_weights(folder))
        self.describe(folder, side=shape.side, levels=shape.levels, classes=shape.classes, attention="eager")


def _load_weights(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    size = (folder / "model.safetensors").stat().st_size if (folder / "model.safetensors").is_file() else 0
    if not 0 < size <= MAX_WEIGHT_BYTES:
        raise ModelRefused(
            f"Weights of {size:,} bytes in model.safetensors.", wanted=f"1 to {MAX_WEIGHT_BYTES:,} bytes.",
            remedy="export the classifier again, as one file.",
        )  # fmt: skip
    return load_file(folder / "model.safetensors")


_SUBJECTS: dict[str, type[ImageSubject] | type[ImageTransformerSubject]] = {
    MODEL_TYPE: ImageSubject, TRANSFORMER_TYPE: ImageTransformerSubject,
}  # fmt: skip


@dataclass(frozen=True)
class ImageFamily(SubjectFamily):
    """Not listed in the menus of language models: the page Vision offers its own."""

    name: str = "images"
    question: str = "What does an image classifier rely on?"

    def find_folder(self, name: str, *, on_progress: Progress | None, access: ModelAccess) -> Path | None:
        folder = self.find_here(name)
        if folder is not None:
            check_folder(folder)
        return folder

    def find_here(self, name: str) -> Path | None:
        return FOLDER / name if name in MODELS else None

    def opens(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") in _SUBJECTS

    def load(self, folder: Path) -> Subject:
        return _SUBJECTS[read_json(folder / "config.json", limit=CONFIG_BYTES)["model_type"]](folder)


PLUGIN = ImageFamily()
