"""Layout of the LRE relations (Hernandez et al. 2023, arXiv:2308.09124): builds pairs from subjects, objects and templates.

Within a template, each subject is paired with the subject of the most similar length that has other objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit_core.errors import PromptRefused
from audit_core.prompt_files.table import MAX_PROMPTS, Row, RowFault, Table, list_columns, refuse_rows

_FORM = "LRE relations"
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class _Subject:
    name: str
    objects: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int, int]:
        """Words, characters, and characters of the first object: a proxy for token length."""
        return (len(self.name.split()), len(self.name), len(self.objects[0]))


def is_relation(document: Mapping[str, Any]) -> bool:
    """Check whether a JSON object has this layout."""
    samples = document.get("samples")
    return isinstance(samples, list) and any(
        isinstance(document.get(key), list) for key in ("prompt_templates", "prompt_templates_zs")
    )


def expand_relation(document: Mapping[str, Any]) -> Table:
    """Return the prompt pairs of a relation, in the order of templates and samples.

    Raises:
        PromptRefused: more subjects than the limit of prompts, or no template with a placeholder for the subject.
    """
    faults: list[RowFault] = []
    subjects, notices = _read_subjects(document["samples"], faults)
    if len(subjects) > MAX_PROMPTS:
        raise refuse_rows(_FORM)
    templates = _read_templates(document)
    most = max(1, MAX_PROMPTS // max(1, len(subjects)))
    if len(templates) > most:
        notices.append(f"{most} of {len(templates)} templates are used: more would be over {MAX_PROMPTS:,} prompts.")
        templates = templates[:most]
    foils = _pair(subjects)
    for subject in subjects:
        if subject.name not in foils:
            text = f"no subject with other objects than {subject.name[:40]!r}"
            faults.append(RowFault("", text, "add samples with other objects", "no_contrast", "samples"))
    pairs = [(subject, foils[subject.name]) for subject in subjects if subject.name in foils]
    rows = tuple(
        Row(f"template {t}, {subject.name[:40]!r}", number, _fill(template, t, subject, other))
        for number, (t, template, subject, other) in enumerate(
            ((t, template, *pair) for t, template in enumerate(templates, start=1) for pair in pairs), start=1
        )
    )
    return Table(_FORM, list_columns(rows), rows, tuple(faults), tuple(notices))


def _fill(template: str, number: int, subject: _Subject, other: _Subject) -> dict[str, object]:
    # The layout's original code scores the object after a space.
    return {
        "id": f"t{number}-{subject.name}",
        "clean": template.replace("{}", subject.name),
        "corrupted": template.replace("{}", other.name),
        "answer": [" " + name for name in subject.objects],
        "foil": [" " + name for name in other.objects],
        "template": template,
    }


def _read_templates(document: Mapping[str, Any]) -> list[str]:
    """Return the templates, zero-shot ones first."""
    found = [
        text.rstrip()
        for key in ("prompt_templates_zs", "prompt_templates")
        if isinstance(document.get(key), list)
        for text in document[key]
        if isinstance(text, str) and text.count("{}") == 1
    ]
    if not found:
        raise PromptRefused(
            f"Read as {_FORM}: no template has one {{}} for the subject.",
            wanted="prompt_templates such as 'The capital of {} is'.",
            remedy="add one.",
        )
    return list(dict.fromkeys(found))


def _read_subjects(samples: Sequence[Any], faults: list[RowFault]) -> tuple[list[_Subject], list[str]]:
    objects: dict[str, list[str]] = {}
    escaped = 0
    for number, sample in enumerate(samples, start=1):
        texts = [sample.get(key) for key in ("subject", "object")] if isinstance(sample, dict) else []
        if len(texts) != 2 or not all(isinstance(text, str) and text.strip() for text in texts):
            text = "a sample without the texts subject and object"
            faults.append(RowFault("", text, "add both as text", "missing", f"sample {number}"))
            continue
        plain = [_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).strip() for text in map(str, texts)]
        escaped += any("\\u" in str(text) for text in texts)
        known = objects.setdefault(plain[0], [])
        if plain[1] not in known:
            known.append(plain[1])
    notices = [f"{escaped} samples contain \\u escapes with four digits, which were decoded."] if escaped else []
    return [_Subject(name, tuple(found)) for name, found in objects.items()], notices


def _pair(subjects: Sequence[_Subject]) -> dict[str, _Subject]:
    """Pair each subject with the one nearest in size that shares no object with it; ties go to the shorter one."""
    ranked = sorted(subjects, key=lambda subject: (subject.size, subject.name))
    found: dict[str, _Subject] = {}
    for at, subject in enumerate(ranked):
        own = set(subject.objects)
        for step in range(1, len(ranked)):
            near = [ranked[i] for i in (at - step, at + step) if 0 <= i < len(ranked)]
            usable = [other for other in near if own.isdisjoint(other.objects)]
            if usable:
                found[subject.name] = min(usable, key=lambda other: _distance(subject, other))
                break
    return found


def _distance(one: _Subject, other: _Subject) -> tuple[int, ...]:
    return tuple(abs(a - b) for a, b in zip(one.size, other.size))
