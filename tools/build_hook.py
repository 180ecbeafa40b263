"""Dependencies of the wheel, read from the requirements files, so that each is listed once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def read_requirements(path: Path) -> list[str]:
    """Requirements of one file, in its order, without comments and without the files that it includes."""
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("-")]


class RequirementsHook(MetadataHookInterface):
    """Fills in `dependencies` and the extras; `extras` in pyproject.toml says which packages each takes out of the base."""

    def update(self, metadata: dict[str, Any]) -> None:
        root = Path(self.root)
        left = read_requirements(root / "requirements.txt")
        extras = {}
        for extra, names in self.config["extras"].items():
            extras[extra] = [line for line in left if re.split(r"[^\w.-]", line)[0] in names]
            if len(extras[extra]) != len(names):
                raise ValueError(f"Extra {extra!r}: requirements.txt lacks one of {names}.")
            left = [line for line in left if line not in extras[extra]]
        everything = ",".join(extras)
        for extra, name in self.config["apart"].items():
            extras[extra] = read_requirements(root / name)
        extras["dev"] = [f"{metadata['name']}[{everything}]", *read_requirements(root / "requirements-dev.txt")]
        metadata["dependencies"] = left
        metadata["optional-dependencies"] = extras
