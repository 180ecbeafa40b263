"""The PDF report: the HTML's sections and numbers, the digest on every page, no character lost, nothing fetched."""

from __future__ import annotations

import html
import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from toy.pdf_text import read_pages
from toy.sample_pack import ROOT_DIGEST, sample_documents

from audit_core.evidence.report.build import build_report
from audit_core.evidence.report.html import render_html
from audit_core.evidence.report.paper import FACES, FONTS
from audit_core.evidence.report.pdf import render_pdf

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_HOME = ROOT / "data" / "sample" / "sample-home.zip"
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")


@cache
def sample_pages() -> tuple[str, ...]:
    return tuple(read_pages(render_pdf(sample_documents(), root_digest=ROOT_DIGEST)))


def pdf_text(documents: dict[str, Any]) -> str:
    return "\n".join(read_pages(render_pdf(documents, root_digest=ROOT_DIGEST)))


def test_html_and_pdf_show_the_same_numbers() -> None:
    page = render_html(sample_documents(), root_digest=ROOT_DIGEST).decode()
    page = re.sub(r"<(style|title|desc)\b.*?</\1>", " ", page, flags=re.S)
    shown = html.unescape(re.sub(r"<wbr>|</?bdi>|</?code>", "", page))
    on_screen = Counter(NUMBER.findall(re.sub(r"<[^>]+>", " ", shown)))
    on_paper = Counter(NUMBER.findall("\n".join(sample_pages())))
    assert sum(on_screen.values()) > 150
    assert on_paper == on_screen


def test_html_and_pdf_have_the_same_sections() -> None:
    report = build_report(sample_documents(), root_digest=ROOT_DIGEST)
    words = " ".join("\n".join(sample_pages()).split())
    places = [words.index(" ".join(section.title.split())) for section in report.sections]
    assert len(places) == 17
    assert len(set(places)) == 17


def test_the_first_screen_of_each_claim_of_the_sample_is_one_page() -> None:
    """A last line alone on a second page is not what a reader of the first page decides on."""
    home = zipfile.ZipFile(SAMPLE_HOME)
    packs = [read_report(home.read(name)) for name in home.namelist() if name.endswith(".zip")]
    assert sorted(len(starts) for starts, _ in packs) == [1, 2], "packs of one claim and of two"
    for starts, pages in packs:
        assert starts == list(range(len(starts)))
        for at in starts:
            assert re.search(r"Not tested: .*(And \d+ more, under Findings|outside the prompt set)\.", pages[at])
            assert "judged prompts" in pages[at], "the last sentence, on what came before the plan"
        assert "Claim " not in pages[len(starts)][:60], "what follows begins on a page of its own"
        assert "Training data, and behaviour outside the prompt set." in "".join(pages[len(starts) :])


def read_report(pack: bytes) -> tuple[list[int], list[str]]:
    """Pages on which a claim's first screen begins, and the text of all pages."""
    files = zipfile.ZipFile(io.BytesIO(pack))
    documents: dict[str, Any] = {}
    for name in files.namelist():
        text = files.read(name)
        if name.endswith(".json"):
            documents[name] = json.loads(text)
        elif name.endswith(".jsonl"):
            documents[name] = [json.loads(row) for row in text.splitlines()]
    pages = [" ".join(page.split()) for page in read_pages(render_pdf(documents, root_digest=ROOT_DIGEST))]
    return [at for at, page in enumerate(pages) if "at a glance" in page and "Claim C-" in page], pages


def test_the_digest_and_the_number_of_pages_are_on_every_page() -> None:
    pages = sample_pages()
    assert len(pages) > 5
    for i, page in enumerate(pages, 1):
        assert ROOT_DIGEST in page
        assert f"Page {i} of {len(pages)}" in " ".join(page.split())


def test_equal_documents_give_equal_bytes_and_the_date_is_that_of_the_documents() -> None:
    assert b"(D:20261121103000Z" in render_pdf(sample_documents(), root_digest=ROOT_DIGEST)
    assert render_pdf(sample_documents(), root_digest=ROOT_DIGEST) == render_pdf(sample_documents(), root_digest=ROOT_DIGEST)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("模型", "⟨U+6A21⟩⟨U+578B⟩"), ("مرحبا", "⟨U+0645⟩⟨U+0631⟩"), ("🙂", "⟨U+1F642⟩"), ("a\u202eb", "a⟨U+202E⟩b"),
        ("Größe é Ω модель ≥ →", "Größe é Ω модель ≥ →"), ("e\u0301\u0301", "é⟨U+0301⟩"), ("{nb} **bold** __u__", "{nb} **bold** __u__"),
    ],
)  # fmt: skip
def test_no_character_is_dropped_or_read_as_markup(text: str, shown: str) -> None:
    documents = sample_documents()
    documents["pack.json"]["intended_purpose"] = text
    documents["claims/claims.json"][0]["statement"] = text
    text_of_it = "".join(pdf_text(documents).split())
    assert text_of_it.count("".join(shown.split())) >= 4


def test_a_very_long_text_is_cut_with_a_word_where_it_would_not_fit_on_a_page() -> None:
    documents = sample_documents()
    documents["claims/claims.json"][0]["statement"] = "word " * 900 + "x" * 900
    assert "more characters in the documents]" in " ".join(pdf_text(documents).split())


def test_fonts_ship_with_their_licences() -> None:
    for file in FACES.values():
        assert (FONTS / file).is_file()
    assert "SIL OPEN FONT LICENSE" in (FONTS / "OFL.txt").read_text().upper()
    assert "Bitstream" in (FONTS / "DEJAVU-LICENSE.txt").read_text()


ATTACK = [
    "<img src=file:///etc/passwd>", "![x](file:///etc/passwd)", "<img src='http://127.0.0.1:9/x.png'>", "[a](http://127.0.0.1:9/)",
    "\\input{/etc/passwd}", "{{ cycler.__init__.__globals__.os.environ }}", "{% include '/etc/passwd' %}", "**b**", "--- \n!!python/object:os.system",
]  # fmt: skip
WATCHED = """
import json, sys
sys.path[:0] = ["tests", "."]
from toy.sample_pack import MODEL, ROOT_DIGEST, sample_documents
from audit_core.evidence.ml_bom import dump_model_bom, dump_package_bom
from audit_core.evidence.model_card import dump_model_card
from audit_core.evidence.report.export import export_html
from audit_core.evidence.report.html import render_html
from audit_core.evidence.report.pdf import render_pdf
from audit_core.evidence.ro_crate import dump_crate
def all_of_them(documents):
    render_html(documents, root_digest=ROOT_DIGEST); render_pdf(documents, root_digest=ROOT_DIGEST)
    dump_crate(documents, paths=["README.txt"]); dump_model_bom(documents, model_id=MODEL); dump_package_bom(documents)
    dump_model_card(documents, model_id=MODEL); export_html(documents["claims/claims.json"][0], evidence={}); export_html({"sentence": attack}, evidence={})
attack = ""
all_of_them(sample_documents())
seen = []
sys.addaudithook(lambda event, arguments: seen.append([event, str(arguments[:1])]) if event == "open" or event.startswith(("socket", "urllib", "subprocess", "os.system", "os.exec", "shutil")) else None)
attacks = json.loads(sys.argv[1])
attack = " ".join(attacks)
documents = sample_documents()
documents["pack.json"] |= {"system_name": attacks[0], "organisation": attacks[1], "intended_purpose": attacks[2], "limitations": attacks}
documents["claims/claims.json"][0]["statement"] = attack
documents["models/" + MODEL + "/identity.json"]["model"] = attack
documents["pack.json"]["not_assessed"] = attacks
all_of_them(documents)
sys.stdout.write(json.dumps(seen))
"""


def test_no_text_makes_a_rendering_read_a_file_or_reach_for_the_network() -> None:
    """After a first round everything it needs is loaded; from then on only fonts, templates and libraries may be opened."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(ATTACK)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    opened = {arguments for event, arguments in seen if event == "open"}
    assert opened, "the hook saw nothing, not even the fonts"
    assert [found for found in seen if found[0] != "open"] == []
    own = (str(FONTS), str(ROOT / "audit_core"), sys.prefix, sys.base_prefix, str(Path(sys.prefix).resolve()))
    assert {path for path in opened if not any(f"('{room}" in path for room in own)} == set()
