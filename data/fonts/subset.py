"""Cuts the PDF report's fonts out of their full families: `python data/fonts/subset.py FOLDER`, which holds the four originals.

Kept are scripts that need no shaping (Latin, Greek, Cyrillic, Armenian, Georgian) and the signs of mathematics. What is not
kept the report shows as its code point: letters put in a row where a script joins them would be a picture of another text.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

HERE = Path(__file__).resolve().parent
LETTERS = [(0x20, 0x7E), (0xA1, 0xAC), (0xAE, 0x24F), (0x384, 0x3E1), (0x400, 0x482), (0x48A, 0x52F), (0x1E00, 0x1EFF), (0x1F00, 0x1FFE)]  # fmt: skip
MARKS = [(0x2010, 0x2015), (0x2018, 0x2027), (0x2030, 0x205E), (0x2070, 0x209C), (0x20A0, 0x20BF), (0x2100, 0x214F)]
SIGNS = [(0x2150, 0x218B), (0x2190, 0x22FF), (0x2300, 0x2311), (0x2400, 0x2426), (0x2500, 0x26A0), (0x2713, 0x2718), (0x27E8, 0x27E9), (0x2A7D, 0x2A7E)]  # fmt: skip
OTHERS = [(0x250, 0x2FF), (0x531, 0x556), (0x561, 0x587), (0x10A0, 0x10FF)]
WANTED = {
    "NotoSans-Regular.ttf": LETTERS + MARKS,
    "NotoSans-Bold.ttf": LETTERS + MARKS,
    "DejaVuSansMono.ttf": [(0x20, 0x7E), (0xA1, 0xAC), (0xAE, 0x17F), (0x384, 0x3E1), (0x400, 0x45F), (0x2010, 0x2026), (0x27E8, 0x27E9)],
    "DejaVuSans.ttf": SIGNS + OTHERS,
}  # fmt: skip
TABLES = [
    "GDEF",
    "GPOS",
    "GSUB",
    "kern",
    "fpgm",
    "prep",
    "cvt ",
    "gasp",
    "hdmx",
    "VDMX",
    "LTSH",
    "FFTM",
    "DSIG",
    "STAT",
]


def cut(path: Path, ranges: list[tuple[int, int]]) -> None:
    options = subset.Options()
    options.hinting, options.layout_features, options.notdef_outline = False, [], True
    options.name_IDs, options.drop_tables = ["*"], [*options.drop_tables, *TABLES]
    font = TTFont(path, recalcTimestamp=False)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[code for first, last in ranges for code in range(first, last + 1)])
    cutter.subset(font)
    font.save(HERE / path.name)


if __name__ == "__main__":
    for name, ranges in WANTED.items():
        cut(Path(sys.argv[1]) / name, ranges)
