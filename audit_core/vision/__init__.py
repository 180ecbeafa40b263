"""Image classifiers: maps over the pixels, and what a region of the image does when it is changed."""

from audit_core.vision.images import MAX_BYTES, MAX_IMAGES, ImageSet, Region, find_images, parse_region, read_images
from audit_core.vision.measurement import measure_vision
from audit_core.vision.recorded import RecordedVision, find_recorded
from audit_core.vision.results import (
    SMALLEST,
    ArmRow,
    ConceptRow,
    MapRow,
    ShownImage,
    VisionFile,
    VisionRequest,
    VisionResult,
)
from audit_core.vision.shipped import CONTRAST, FILE, MARKED, MODELS, PLAIN, REGION, TITLES, read_marked

__all__ = [
    "CONTRAST",
    "FILE",
    "MARKED",
    "MAX_BYTES",
    "MAX_IMAGES",
    "MODELS",
    "PLAIN",
    "REGION",
    "SMALLEST",
    "TITLES",
    "ArmRow",
    "ConceptRow",
    "ImageSet",
    "MapRow",
    "RecordedVision",
    "Region",
    "ShownImage",
    "VisionFile",
    "VisionRequest",
    "VisionResult",
    "find_images",
    "find_recorded",
    "measure_vision",
    "parse_region",
    "read_images",
    "read_marked",
]
