"""Labelled grey images from a CSV file, the region under test, and images as prompts."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import Refused
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.subject import Images

Pixels = NDArray[np.int64]
MAX_BYTES, MAX_IMAGES = 4_000_000, 400
"""Largest file, and most images that are measured; the first ones of each class in turn."""
MAX_LEVELS = 255
CLASS_ID = MAX_LEVELS + 1
"""Token of class 0: below are grey levels."""


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels."""

    row: int
    column: int
    height: int
    width: int

    def to_json(self) -> list[int]:
        return [self.row, self.column, self.height, self.width]

    @property
    def cut(self) -> tuple[slice, slice]:
        """Slices of rows and columns."""
        return slice(self.row, self.row + self.height), slice(self.column, self.column + self.width)

    def list_elsewhere(self, side: int) -> tuple[Region, ...]:
        """Every rectangle of this size that shares no pixel with it."""
        return tuple(
            Region(row, column, self.height, self.width)
            for row in range(side - self.height + 1)
            for column in range(side - self.width + 1)
            if abs(row - self.row) >= self.height or abs(column - self.column) >= self.width
        )

    def find_opposite(self, side: int) -> Region:
        """The rectangle on the other side of the centre.

        Raises:
            Refused: they overlap.
        """
        found = Region(side - self.row - self.height, side - self.column - self.width, self.height, self.width)
        if found not in self.list_elsewhere(side):
            raise Refused(
                "A region at the centre: it cannot be moved to the opposite side.", wanted="a region beside the centre.",
                remedy="choose a smaller region.",
            )  # fmt: skip
        return found


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels."""

    pixels: Pixels
    """Grey levels; shape (image, row, column)."""
    labels: tuple[int, ...]
    n_in_file: int
    """Images of these classes in the file."""


def parse_region(text: str, side: int) -> Region:
    """A region from `row,column,height,width`.

    Raises:
        Refused: not four whole numbers, or not within a quarter of the image.
    """
    parts = _parse_numbers(text, 4, "A region is row,column,height,width")
    row, column, height, width = parts
    is_inside = row + height <= side and column + width <= side
    if min(height, width) < 1 or not is_inside or height * width * 4 > side * side:
        raise Refused(
            f"The region {text[:40]!a} in an image of {side} × {side}.", wanted="a rectangle in at most a quarter of the image.",
            remedy="change row, column, height or width.",
        )  # fmt: skip
    return Region(*parts)


def parse_contrast(text: str, n_classes: int) -> tuple[int, int]:
    """Two classes from `3,8`.

    Raises:
        Refused: not two different classes of the model.
    """
    first, second = _parse_numbers(text, 2, "A contrast is two classes")
    if first == second or max(first, second) >= n_classes:
        raise Refused(
            f"The classes {text[:40]!a}.", wanted=f"two different numbers below {n_classes}.", remedy="change them."
        )
    return first, second


def _parse_numbers(text: str, n: int, what: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != n or not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        raise Refused(f"{text[:40]!a}. {what}.", wanted=f"{n} whole numbers with commas.", remedy="change the text.")
    return tuple(int(part) for part in parts)


def read_images(raw: bytes, subject: Images, contrast: tuple[int, int]) -> ImageSet:
    """Images of two classes from the bytes of a CSV file: a column `label`, then one column a pixel, row by row.

    Raises:
        Refused: the file does not parse, its size is not the model's, or a class has no images.
    """
    rows = _read_rows(raw)
    n_pixels = subject.side**2
    kept: dict[int, list[list[int]]] = {label: [] for label in contrast}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != n_pixels + 1:
            raise Refused(
                f"Line {number} has {len(row)} columns.", wanted=f"a label and {n_pixels} pixels, as this model reads.",
                remedy="bring images of its size.",
            )  # fmt: skip
        label, *pixels = (_read_number(text, number, subject.levels) for text in row)
        if label in kept:
            kept[label].append(pixels)
    if missing := [label for label, found in kept.items() if not found]:
        raise Refused(
            f"No image of class {missing[0]}.", wanted="images of both classes.", remedy="name other classes."
        )
    each = MAX_IMAGES // 2
    chosen = [(label, image) for label, found in kept.items() for image in found[:each]]
    n = sum(len(found) for found in kept.values())
    pixels_read = np.array([image for _, image in chosen], np.int64).reshape(-1, subject.side, subject.side)
    return ImageSet(pixels_read, tuple(label for label, _ in chosen), n)


def _read_rows(raw: bytes) -> list[list[str]]:
    if len(raw) > MAX_BYTES:
        raise Refused(f"A file of {len(raw):,} bytes.", wanted=f"at most {MAX_BYTES:,}.", remedy="bring fewer images.")
    try:
        rows = [row for row in csv.reader(io.StringIO(raw.decode("utf-8-sig")), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused("A file that does not parse.", wanted="CSV in UTF-8.", remedy="save it as CSV.") from error
    if len(rows) < 2 or rows[0][0].strip() != "label":
        raise Refused(
            "A file without a first column `label`, or without images.", wanted="a header, then one image a line.",
            remedy="begin the header with label.",
        )  # fmt: skip
    return rows


def _read_number(text: str, line: int, most: int) -> int:
    clean = text.strip()
    if not (clean.isascii() and clean.isdigit() and len(clean) <= 3 and int(clean) <= most):
        raise Refused(
            f"{text[:20]!a} on line {line}.", wanted=f"whole numbers from 0 to {most}.",
            remedy="scale the grey levels, or fix the value.",
        )  # fmt: skip
    return int(clean)


def ask_images(
    images: ImageSet, region: Region, contrast: tuple[int, int], name: str, *, seed: int
) -> TokenisedPrompts:
    """Images as pairs: as they are, and with the region of a random image of the other class.

    A pixel is a word, so that logs, packs and content keys read an image as any other prompt. Donors differ in the region;
    an image without such a donor is left out, because its swap would change nothing.

    Raises:
        Refused: no image of one class has another region than those of the other.
    """
    draw = np.random.default_rng(seed)
    labels = np.array(images.labels)
    pairs = []
    for at, (pixels, label) in enumerate(zip(images.pixels, images.labels, strict=True)):
        foil = contrast[1] if label == contrast[0] else contrast[0]
        rows, columns = region.cut
        differs = (images.pixels[:, rows, columns] != pixels[rows, columns]).any((1, 2))
        donors = np.flatnonzero(differs & (labels == foil))
        if not len(donors):
            continue
        swapped = pixels.copy()
        swapped[rows, columns] = images.pixels[draw.choice(donors)][rows, columns]
        pairs.append(_make_pair(at, pixels, swapped, label, foil))
    if not pairs:
        raise Refused(
            "The region is the same in all images: a swap changes nothing.", wanted="a region that differs.",
            remedy="choose another region.",
        )  # fmt: skip
    digest = PromptSet(name[:80], tuple(pair.prompt for pair in pairs)).sha256
    left = images.n_in_file - len(pairs)
    notice = (
        f"{left} of {images.n_in_file} images of these classes are left out: at most {MAX_IMAGES} are measured, and only "
        "those whose region another image of the other class can change."
    )
    return TokenisedPrompts(name[:80], tuple(pairs), digest, (notice,) if left else ())


def _make_pair(at: int, pixels: Pixels, swapped: Pixels, label: int, foil: int) -> TokenPair:
    clean, corrupted = (tuple(int(value) for value in image.ravel()) for image in (pixels, swapped))
    shown, other = (" ".join(map(str, ids)) for ids in (clean, corrupted))
    contrast = Contrast((), ((CLASS_ID + label,),), ((CLASS_ID + foil,),))
    prompt = Prompt(f"image-{at + 1:04d}", shown, other, f" class-{label}", f" class-{foil}", f"image {at + 1}")
    return TokenPair(prompt, clean, corrupted, contrast, (), (), True)


@dataclass(frozen=True, eq=False)
class ImagePairs:
    """What `ask_images` made, as arrays."""

    clean: Pixels
    """Shape (image, row, column); grey levels."""
    swapped: Pixels
    """With the region of another image."""
    answers: tuple[int, ...]
    foils: tuple[int, ...]


def find_images(prompts: TokenisedPrompts, subject: Images) -> ImagePairs:
    """Images of prompts.

    Raises:
        Refused: the prompts are texts, or images of another size.
    """
    size = subject.side**2
    for pair in prompts.pairs:
        ends = (*pair.contrast.answer_ids, *pair.contrast.foil_ids)
        is_image = len(pair.clean_ids) == size and max(*pair.clean_ids, *pair.corrupted_ids) <= subject.levels
        if not is_image or not all(0 <= end - CLASS_ID < subject.n_classes for end in ends):
            raise Refused(
                "Prompts that are no images of this model.", wanted=f"images of {subject.side} × {subject.side} pixels.",
                remedy="give `--file` with labelled images.",
            )  # fmt: skip
    shape = (-1, subject.side, subject.side)
    return ImagePairs(
        np.array([pair.clean_ids for pair in prompts.pairs], np.int64).reshape(shape),
        np.array([pair.corrupted_ids for pair in prompts.pairs], np.int64).reshape(shape),
        tuple(pair.answer_id - CLASS_ID for pair in prompts.pairs),
        tuple(pair.foil_id - CLASS_ID for pair in prompts.pairs),
    )
