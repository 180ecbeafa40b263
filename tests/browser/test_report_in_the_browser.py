"""The report in a browser: whatever was filed, nothing runs, nothing is fetched, and the page shows the filed text."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from toy.sample_pack import ROOT_DIGEST, RUNS, sample_documents

from audit_core.evidence.report.export import export_html
from audit_core.evidence.report.html import render_html
from audit_core.evidence.report.visible import make_visible

pytestmark = pytest.mark.browser

CORPUS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "'\" autofocus onfocus=alert(1) x='",
    "</style><script>alert(1)</script>", "</title><script>alert(1)</script>", "<iframe srcdoc='<script>parent.alert(1)</script>'>",
    "<a href='javascript:alert(1)'>x</a>", "{{7*7}}{% raw %}", "<base href='http://127.0.0.1:9/'>", "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "<bdi></bdi></code></td></tr></table>", "\u202egnp.exe\u2066\u200b", "<!--", "]]><script>alert(1)</script>",
)  # fmt: skip
KEPT = {"action", "result", "state", "schema", "comparator", "created_at", "status", "overall", "outcome", "role"}
"""Fields whose values are words of ours: with another value other words would be shown, and that has tests of its own."""
TAGS = set(["html", "head", "meta", "title", "style", "body", "div", "header", "p", "h1", "h2", "h3", "h4", "dl", "dt", "dd", "span", "code", "bdi", "nav", "ol", "ul", "li", "a", "main", "section", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "svg", "desc", "line", "text", "path", "circle", "footer", "wbr"])  # fmt: skip


def poison(value: Any, payload: str, key: str = "") -> Any:
    """The payload at the end of every text, names of fields of ours left alone."""
    if isinstance(value, dict):
        return {
            (name + payload if key == "conditions" else name): poison(inner, payload, name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [poison(inner, payload, key) for inner in value]
    return value + payload if isinstance(value, str) and key not in KEPT else value


def poison_documents(payload: str) -> dict[str, Any]:
    return {path: poison(document, payload) for path, document in sample_documents().items()}


@pytest.fixture
def show(page: Any, tmp_path: Path) -> Callable[[bytes], tuple[list[str], list[str]]]:
    """Opens bytes as a file, and gives what it asked for and what it popped up."""
    asked: list[str] = []
    popped: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (popped.append(dialog.message), dialog.dismiss()))

    def open_it(made: bytes) -> tuple[list[str], list[str]]:
        file = tmp_path / "report.html"
        file.write_bytes(made)
        asked.clear()
        popped.clear()
        page.goto(file.as_uri())
        page.wait_for_timeout(50)
        return [url for url in asked if url != file.as_uri()], list(popped)

    return open_it


@pytest.mark.parametrize("payload", CORPUS, ids=range(len(CORPUS)))
def test_filed_text_is_shown_as_filed_and_nothing_else_happens(payload: str, show: Any, page: Any) -> None:
    documents = poison_documents(payload)
    assert show(render_html(documents, root_digest=ROOT_DIGEST)) == ([], [])
    assert set(page.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.localName))]")) <= TAGS
    assert page.evaluate("[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on|^src|^style/.test(a.name)).length") == 0  # fmt: skip
    shown = set(page.evaluate("[...document.querySelectorAll('bdi')].map(e => e.textContent)"))
    header, claim = documents["pack.json"], documents["claims/claims.json"][0]
    result = documents[f"runs/{RUNS['C-0001']}/result.json"]
    wanted = [
        header["system_name"], header["organisation"], header["intended_purpose"], *header["limitations"], *header["not_assessed"], claim["statement"],
        claim["claim_id"], claim["owner"], *claim["claim"]["components"], result["sentence"], documents["prereg/deviations.jsonl"][0]["reason"],
        documents["prereg/prereg.json"]["research_question"], documents["policy/policy.resolved.json"]["id"], *result["conditions"],
    ]  # fmt: skip
    assert [text for text in wanted if make_visible(text) not in shown] == []


@pytest.mark.parametrize("payload", CORPUS[:4], ids=range(4))
def test_a_single_result_holds_out_as_well(payload: str, show: Any, page: Any) -> None:
    claim = poison(sample_documents()["claims/claims.json"][0], payload)
    assert show(export_html(claim, evidence={})) == ([], [])
    assert set(page.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.localName))]")) <= TAGS
    assert make_visible(claim["statement"]) in page.evaluate("document.body.textContent")


def test_what_slips_through_all_the_same_is_stopped_by_the_policy_in_the_file(show: Any, page: Any) -> None:
    """Markup put in past the templates: with the policy nothing runs and nobody is asked, without it both happen."""
    hits: list[str] = []

    class Ear(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ear) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        bad = f"<img src='http://127.0.0.1:{server.server_port}/x'><script>document.title = 'ran'</script>".encode()
        made = render_html(sample_documents(), root_digest=ROOT_DIGEST).replace(b"</main>", bad + b"</main>")
        show(made)
        page.wait_for_timeout(200)
        assert (hits, page.title()) == ([], "Evidence report: SAMPLE letter-drafting assistant")
        show(re.sub(rb"<meta http-equiv[^>]+>", b"", made))
        page.wait_for_timeout(200)
        assert page.title() == "ran"
        assert hits == ["/x"]
        server.shutdown()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_the_screen_and_its_text_has_contrast(width: int, scheme: str, show: Any, page: Any) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    show(render_html(sample_documents(), root_digest=ROOT_DIGEST))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate(
        """[...document.querySelectorAll('p, dt, dd, td, th, caption, h2, .badge, .words')].map(e => [getComputedStyle(e).color,
        getComputedStyle(e.closest('.seal') || document.body).backgroundColor])"""
    )
    assert len(colours) > 200
    assert min(contrast(*pair) for pair in {tuple(pair) for pair in colours}) >= 4.5
    outside = """[...document.querySelectorAll('svg .mark, svg .bar')].filter(e => { const a = e.getBoundingClientRect(),
        b = e.closest('figure').getBoundingClientRect(); return a.left < b.left - 1 || a.right > b.right + 1; }).length"""
    assert page.evaluate(outside) == 0


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast of two colours as the browser computed them."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
