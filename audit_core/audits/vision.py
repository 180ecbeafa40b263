"""Vision: what maps show of an image classifier, beside what changing a region does to its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit
from audit_core.capability import IMAGES, Capability
from audit_core.errors import Refused
from audit_core.request import Request
from audit_core.request_form import read_answers
from audit_core.subject import Means, Progress, Subject, no_partial
from audit_core.vision.images import ask_images, parse_contrast, parse_region, read_images
from audit_core.vision.measurement import count_work, measure_vision
from audit_core.vision.results import VisionFile, VisionRequest, VisionResult


@dataclass(frozen=True)
class VisionAudit(Audit):
    name: str = "vision"
    question: str = "What do maps over an image show, and what does a region of it do?"
    request: type[Request] = VisionRequest
    result: type = VisionResult
    version: int = 2
    shown_versions: tuple[int, ...] = (1,)
    no_rate: str = "Its request is made of a file of images, and its two models with a known region were trained, not built from a seed."
    summary: str = (
        "Grad-CAM, saliency, occlusion and integrated gradients are drawn over images. Apart from them, a region is swapped, "
        "emptied and moved, beside the same swap elsewhere. Concepts of the region are tried in each layer, by TCAV and by their direction."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (IMAGES,)
    file_form: type | None = VisionFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> VisionRequest:
        self.require(subject)
        asked, images = read_answers(VisionFile, answers), IMAGES.of(subject)
        if not 0 < asked.smallest < 1:
            raise Refused(
                f"A smallest effect of {asked.smallest:g}.", wanted="a fraction between 0 and 1.", remedy="change it."
            )
        region, contrast = parse_region(asked.region, images.side), parse_contrast(asked.contrast, images.n_classes)
        region.find_opposite(images.side)
        found = read_images(raw, images, contrast)
        return VisionRequest(ask_images(found, region, contrast, name, seed=seed), region, asked.smallest, seed)

    def count_work(self, subject: Subject, request: VisionRequest) -> int:
        return count_work(IMAGES.of(subject).side, request.region, len(request.prompts))

    def run(
        self,
        subject: Subject,
        request: VisionRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> VisionResult:
        return measure_vision(IMAGES.of(subject), request, on_progress=on_progress)


PLUGIN = VisionAudit()
