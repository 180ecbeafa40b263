"""Every text that a page hands to Markdown is written in the source, a number, or escaped: held over the source of all pages.

Streamlit draws labels, titles, messages and tooltips as Markdown, and a browser fetches an image that stands in one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.repository.source import find_nodes

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "app.py", *sorted((ROOT / "ui").rglob("*.py")), *sorted((ROOT / "pages").glob("*.py"))]
DRAWS = {
    "error", "warning", "info", "success", "exception", "markdown", "caption", "write", "write_stream", "toast", "metric", "expander", "button",
    "badge", "subheader", "header", "title", "popover", "selectbox", "radio", "checkbox", "text_input", "text_area", "multiselect",
    "segmented_control", "pills", "download_button", "progress", "spinner", "status", "form_submit_button", "number_input", "toggle",
    "link_button", "page_link", "tabs", "html", "slider", "select_slider", "file_uploader", "camera_input", "dialog", "latex", "date_input",
    "time_input", "color_picker", "chat_input", "chat_message", "text", "menu_button", "audio_input", "feedback",
}  # fmt: skip
"""Names of Streamlit's functions that draw Markdown in their first argument."""
LISTS = {"radio", "tabs", "segmented_control", "pills"}
"""Whose options are drawn as Markdown as well; those of a selectbox and a multiselect are not."""
TEXT_OPTIONS = {"label", "body", "help", "text", "value", "delta", "format_func", "captions", "caption", "options"}
PLAIN_BOXES = {
    "text_input",
    "text_area",
    "number_input",
    "checkbox",
    "toggle",
    "slider",
    "selectbox",
    "multiselect",
    "code",
    "text",
}
"""Whose `value` and `options` are drawn as they are."""
ESCAPES = {"plain"}
COUNTS = {"len", "round", "max", "min", "sum", "int", "abs", "_rank"}
PASS_ON = {"figure_header", "open_frame", "open_page", "pane_header", "step_header", "table_with_csv"}
"""Functions of the pages that draw what they are given: their callers are held to the same."""
REVIEWED: dict[str, list[str]] = {
    "ui/benchmarks/show.py": ["result.n", "result.n_measured", "result.n_right", "source.n_in_file"],
    "ui/campaigns/show.py": ["MOST_ROWS", "_describe_cost(status)", "kinds", "mark", "where"],
    "ui/documents/form.py": ["MAX_DOCUMENTS", "result.n"],
    "ui/documents/sentences.py": ["_mark_document(rank, found, row.delta)", "found.n_fit", "found.n_held_out", "place"],
    "ui/documents/show.py": ["_say_swap(row)", "result.fillers", "row.n_orders", "row.order_flips"],
    "ui/decisions/form.py": ["task.n_in_file"],
    "ui/decisions/fairness.py": ["number"],
    "ui/decisions/show.py": ["lines", "row.precision.n"],
    "ui/live/attention_tests.py": [
        "_kinds(agreements)",
        "_kinds(comparisons)",
        "counts['irrelevant']",
        "counts['matters']",
        "counts['unresolved']",
        "found.layer",
        "key.replace('_', ' ')",
        "name",
        "result.n",
        "result.n_templates",
        "result.shuffles",
    ],
    "ui/flow/subject_view.py": ["name", "title", "words"],
    "ui/shell/auth.py": ["page"],
    "ui/calibration/show.py": ["RULES", "describe_census(census)", "describe_origin(found)", "rule"],
    "ui/cards/show.py": ["chart.as_of", "navigation.claims()", "navigation.desk()", "row.title", "title"],
    "ui/changes/show.py": [
        "found.after.short",
        "found.before.short",
        "found.kind",
        "found.n_changed",
    ],
    "ui/circuit/for_and_against.py": ["_READING", "claim.role.value", "found.n", "icon", "label", "size", "title"],
    "ui/circuit/graph.py": ["_READING", "paths.n", "unsure"],
    "ui/circuit/known.py": ["self.n"],
    "ui/circuit/questions.py": ["words"],
    "ui/circuit/sentence.py": ["_READING", "kept.n", "kept.templates"],
    "ui/circuit/view.py": ["ROLES", "count", "form.MAX_CONNECTED", "role", "words"],
    "ui/claims/form.py": ["made.digest", "made.withheld", "missing", "navigation.desk()", "number", "under_way.number"],
    "ui/claims/new_claim.py": ["GAP", "ROLES.get", "list(ROLES)"],
    "ui/claims/show.py": ["attempts", "PACK", "PLAN", "POINTS", "VERDICT", "get_plugin('audits', question).question"],
    "ui/desk/form.py": ["DECISIONS.get", "digest[:12]", "list(DECISIONS)", "number", "roles"],
    "ui/findings/form.py": ["ACTIVE_STATUSES", "_STEPS[step]", "_spell_status"],
    "ui/findings/link.py": ["active", "navigation.findings()"],
    "ui/findings/show.py": ["late", "mark", "visit"],
    "ui/desk/show.py": ["_describe_attempts(claim)", "describe_witnesses(opened.witnesses)", "evaluated", "required"],
    "ui/parts/measurements.py": ["SHOWN", "key", "name"],
    "ui/results/circuit.py": ["found.idle"],
    "ui/parts/plain_result.py": ["READING", "SHOWN", "key", "kinds", "reading", "sheet.kinds"],
    "ui/audits/form.py": ["label", "words"],
    "ui/audits/index.py": [
        "QUESTIONS[place.file]",
        "draw(place.file)",
        "group",
        "make_link(place)",
        "place.title",
        "words",
    ],
    "pages/experts.py": ["form.first_visit()"],
    "pages/source_tokens.py": ["form.first_visit()"],
    "pages/robustness.py": ["form.first_visit()"],
    "ui/experts/show.py": ["NOT_ROUTED", "SIGNS", "result.n_templates"],
    "ui/source_tokens/show.py": ["place"],
    "pages/explanations.py": ["form.FIELDS"],
    "ui/explanations/show.py": ["kind", "lines", "place"],
    "ui/explanations/stability.py": ["_EARLIER", "place"],
    "ui/tools/show.py": [
        "_share(result.accuracy)",
        "_share(result.alone)",
        "_share(result.answered)",
        "count",
        "result.n",
    ],
    "ui/decisions/source.py": ["LANGUAGE", "TABLE"],
    "ui/steering/show.py": ["place", "result.draws", "result.layer", "result.n_chosen_on", "result.n_tokens"],
    "ui/tabular/form.py": ["task.n_in_file"],
    "ui/tabular/show.py": ["how", "row.precision.n"],
    "ui/vision/concepts.py": ["counted"],
    "ui/vision/show.py": ["column", "height", "kind", "n", "place", "row", "width"],
    "ui/lenses/show.py": [
        "name",
        "result.n",
        "result.n_templates",
        "result.n_texts",
    ],
    "pages/lenses.py": ["form.FIELDS"],
    "ui/probes/form.py": ["label"],
    "ui/probes/show.py": [
        "unseen",
        "lead",
        "result.draws",
        "result.n",
        "result.n_edited",
        "result.n_templates",
        "result.n_words",
    ],
    "ui/features/act.py": [
        "dictionary",
    ],
    "ui/features/browser.py": [
        "navigation.claims()",
        "_NEEDS_MODEL",
        "_join([(one.token, f'{one.weight:+.2f}') for one in feature.opposes])",
        "_join([(one.token, f'{one.weight:+.2f}') for one in feature.writes])",
        "_join([(one.token, f'{one.weight:.0%}') for one in feature.tokens])",
        "_mark(one)",
        "at",
        "layer",
        "title",
    ],
    "ui/features/labels.py": [
        "one.version",
    ],
    "ui/features/show.py": [
        "chosen",
        "entry.layer",
        "lead",
        "like",
        "loss['n']",
        "loss['templates']",
        "recipe['seed']",
        "result.layer",
        "result.n",
        "result.n_templates",
        "trained",
        "why",
    ],
    "ui/features/evaluation.py": [
        "CAVEAT",
        "badge",
        "chance",
        "named",
        "place",
        "result.n",
        "result.n_clusters",
    ],
    "ui/features/own.py": [
        "ways",
    ],
    "ui/features/texts.py": [
        "_CARRIES",
    ],
    "ui/features/versions.py": [
        "badge",
        "more",
        "result.layer",
        "result.n",
        "result.n_clusters",
        "result.n_detectable",
        "result.n_features",
        "result.n_silent",
    ],
    "ui/monitors/show.py": [
        "counts.calibration",
        "counts.cases",
        "counts.fit",
        "counts.fit_cases",
        "counts.test",
        "list(labels)",
        "monitor.recipe.layer",
        "step.draws",
    ],
    "ui/policies/amend.py": ["roles"],
    "ui/policies/form.py": ["COUNTS", "kept['op']", "name.replace('_', ' ')", "names", "roles", "words"],
    "ui/policies/retire.py": ["day", "one.version", "roles"],
    "ui/policies/show.py": [
        "describe_directions(changes)",
        "on_desk",
        "own",
        "policy.sha256",
    ],
    "ui/rationale/show.py": ["_share(one)", "_share(other)", "count", "found.n", "hits", "known.n_per_model"],
    "ui/results/curve.py": ["found.n", "found.random_as_near", "place"],
    "ui/results/recomposition.py": ["found.n_universe"],
    "ui/results/specificity.py": ["found.random_as_large"],
    "ui/results/stability.py": ["found.core", "found.draws", "found.n", "found.n_templates", "place"],
    "ui/results/rival.py": ["place"],
    "ui/results/transfer.py": ["place"],
    "ui/parts/header.py": [
        "kind",
        "n",
        "name",
        "reading",
        "title",
        "what",
    ],
    "ui/flow/history.py": ["stale"],
    "ui/live/interventions.py": ["focus", "kind", "rank", "what"],
    "ui/flow/job_panel.py": ["fraction", "left", "now.fraction", "queued", "state"],
    "ui/flow/subject_form.py": ["UNIVERSES.get", "label", "list(UNIVERSES)"],
    "ui/live/head_maps.py": [
        "HOW_TO_PICK",
        "format_estimate(rho)",
        "picking.badge('causal')",
        "picking.badge('observational')",
        "reading",
        "source",
    ],
    "ui/live/show.py": [
        "format_estimate(base)",
        "format_estimate(result.after)",
        "format_estimate(result.support)",
        "head",
        "kept",
        "name",
        "result.head",
        "result.layer",
        "result.rest",
        "result.steps",
        "result.unit",
    ],
    "ui/flow/answers.py": ["label", "share"],
    "ui/overview/cost.py": ["describe_seconds(report.cpu)", "describe_seconds(report.wall)"],
    "ui/overview/maps.py": ["key"],
    "ui/overview/portfolio.py": ["label", "page"],
    "ui/overview/story.py": [
        "SIGNS",
        "_STEPS[key][0]",
        "acting",
        "acting.stated.components[0]",
        "acts.component",
        "badge",
        "changed",
        "describe_effect(acts.effect)",
        "describe_effect(most.effect)",
        "describe_share(acts.attention)",
        "describe_share(head.attention)",
        "describe_share(most.attention)",
        "found.result.clean.n",
        "head.component",
        "icon",
        "key",
        "line",
        "list(_STEPS)",
        "most.component",
        "n",
        "over",
        "reading",
        "story.direction",
        "story.measured_with.recorded_at[:10]",
        "story.prompts.confirmatory_n",
        "story.prompts.exploratory_n",
        "story.replacement",
        "title",
        "words",
    ],
    "ui/procurement/form.py": ["current.version", "label", "saved", "section.title"],
    "ui/procurement/show.py": [
        "describe_count(count_answers(filled.answers))",
        "filled.version",
        "quote(one, safe='')",
    ],
    "ui/sweep/form.py": ["get_plugin('estimators', st.session_state.screen).question"],
    "ui/sweep/show.py": [
        "SHOWN",
        "SIGNS",
        "done",
        "partial.n",
        "reading",
        "result.n",
        "result.unit",
        "rule",
        "screened.method.replace('_', ' ')",
        "screened.misses",
        "sign",
    ],
    "ui/log/show.py": [
        "describe_own_log(trail)",
        "SHOWN",
        "chosen.entry",
        "done",
        "found.first_bad",
        "key.at",
        "names",
        "seq",
        "total",
    ],
    "ui/parts/tabs.py": ["titles"],
    "ui/parts/claim_brief.py": ["ICONS.get(brief.state, ':material/pending:')", "SHOWN", "more", "title"],
    "ui/parts/verdict_card.py": [
        "_name_backups(repair)",
        "claim.role.value",
        "icon",
        "null.n",
        "place",
        "repair.total.n",
        "share",
        "words",
    ],
    "pages/circuit.py": ["form.first_visit()"],
    "pages/live_audit.py": ["choices.first_visit()"],
    "pages/audits.py": ["form.first_visit()"],
    "pages/sweep.py": ["form.first_visit()"],
    "ui/live/verdict.py": ["WHEN_JUDGED"],
    "ui/parts/workbench.py": ["kind", "reading", "table.name", "title", "words"],
    "ui/shell/main.py": ["ROOT"],
    "pages/overview.py": ["title"],
    "ui/flow/dialogs.py": ["label"],
}
"""What was read by a person and needs no escape: numbers, digests of ours, component addresses that were parsed, words of shipped files and of
the source. A new entry says that its text cannot come from a link, an upload, a model, a pack, a provider or an error message."""


def find_texts(call: ast.Call, name: str) -> Iterator[ast.expr]:
    """What of a call is drawn as Markdown."""
    drawn = {"metric": 3}.get(name, 2 if name in LISTS else 1)
    yield from call.args[:drawn]
    for option in call.keywords:
        if option.arg in TEXT_OPTIONS and not (
            name in PLAIN_BOXES and option.arg in ("value", "options", "format_func")
        ):
            yield option.value


def find_open(text: ast.expr) -> Iterator[ast.expr]:
    """The parts of a text that are neither written in the source, nor numbers, nor escaped."""
    match text:
        case ast.Constant():
            return
        case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts):
            for part in parts:
                yield from find_open(part)
        case ast.FormattedValue(value=value, format_spec=spec):
            if spec is None or not ast.unparse(spec).rstrip("'\"").endswith(("f", "e", "g", "d", "%", ",")):
                yield from find_open(value)
        case ast.BinOp(left=left, right=right):
            yield from find_open(left)
            yield from find_open(right)
        case ast.IfExp(body=left, orelse=right):
            yield from find_open(left)
            yield from find_open(right)
        case ast.Call(func=ast.Name(id=name)) if name in ESCAPES | COUNTS:
            return
        case ast.Call(func=ast.Name(id="counted"), args=[_, ast.Constant()]):
            # It formats a number, and the noun is written in the source.
            return
        case ast.Call(func=ast.Attribute(attr="join"), args=parts):
            for part in parts:
                yield from find_open(part)
        case ast.GeneratorExp(elt=part) | ast.ListComp(elt=part) | ast.Starred(value=part) | ast.Lambda(body=part):
            yield from find_open(part)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from find_open(part)
        case _:
            yield text


def list_open(calls: Iterable[ast.AST]) -> set[str]:
    found = set()
    for call in calls:
        match call:
            case ast.Call(func=ast.Attribute(attr=name)) if name in DRAWS:
                texts = list(find_texts(call, name))
            case ast.Call(func=ast.Name(id=name)) if name in PASS_ON:
                texts = [text for text in call.args if not isinstance(text, ast.Lambda)]
            case _:
                continue
        found |= {ast.unparse(part) for text in texts for part in find_open(text)}
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_text_drawn_as_markdown_is_ours_or_escaped(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    found = list_open(find_nodes(path, ast.Call))
    assert found - set(REVIEWED.get(name, [])) == set(), f"escape these with ui.parts.header.plain: {name}"
    assert set(REVIEWED.get(name, [])) - found == set(), f"no longer drawn, so take them off the list: {name}"


@pytest.mark.parametrize(
    "line",
    [
        "st.error(str(error))", "st.warning(f'**{row.id}**')", "column.markdown('a' + name)", "st.button(label=name)", "box.metric('x', name)",
        "st.text_input('Model', name, help=f'as {typed}')", "st.radio('Which', names)", "st.tabs(names)", "st.info(' '.join(names))",
        "st.success(name if name else 'none')", "st.caption(*lines)", "figure_header('x', 'causal', f'of {name}')", "st.expander(name or 'x')",
        "st.badge(f'{name:>10}')", "st.radio('Which', keys, format_func=lambda key: names[key])",
    ],
)  # fmt: skip
def test_a_text_that_is_not_escaped_is_found(line: str) -> None:
    assert list_open(ast.walk(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "st.error(plain(str(error)))", "st.warning(f'**{plain(row.id)}**, {share:.0%}')", "st.metric('Events', f'{size:,}')",
        "st.selectbox('Model', names, format_func=names.get)", "st.markdown('- ' + ', '.join(plain(one) for one in names))",
        "st.button(f'All {len(new)}')", "st.text_input('Model', typed)",
    ],
)  # fmt: skip
def test_a_text_that_is_escaped_passes(line: str) -> None:
    assert not list_open(ast.walk(ast.parse(line)))
