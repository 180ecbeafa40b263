"""The audit of tabular models: the shipped model, estimators in memory, ONNX files that may and may not be opened."""

from __future__ import annotations

import importlib.util
import resource
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from audit_core import open_subject
from audit_core.engine import onnx_model
from audit_core.engine.onnx_model import OnnxTables
from audit_core.errors import CapabilityRefused, ControlFailed, ModelRefused, Refused
from audit_core.models.cache import hash_file
from audit_core.models.onnx_file import check_onnx
from audit_core.registry import get_plugin
from audit_core.tabular import (
    FILE,
    TUMOURS,
    EstimatorTables,
    Reading,
    TabularResult,
    find_recorded,
    keep_onnx,
    make_task,
    measure_table,
    read_tumours,
)
from audit_core.tabular.alternatives import Alternative
from audit_core.tabular.cases import run_again
from audit_core.tabular.measurement import check_model
from audit_core.tabular.readable import BOOSTING, LOGISTIC, compare_readable
from audit_core.tabular.scoring import Scorer
from audit_core.tabular.shipped import FOLDER

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = FOLDER / TUMOURS / "model.onnx"


class Known:
    """Log odds (2 x₀ + x₁ − x₂² + 1) / 2; the last feature is not read."""

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        yes = 1 / (1 + np.exp(-(2 * rows[:, 0] + rows[:, 1] - rows[:, 2] ** 2 + 1) / 2))
        return np.column_stack([1 - yes, yes])


def load_maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tabular", ROOT / "data/tabular/make.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def known() -> TabularResult:
    rows = np.random.default_rng(0).normal(size=(120, 4))
    outcomes = Known().predict_proba(rows)[:, 1] > 0.5
    task = make_task(rows, ("a", "b", "c", "unread"), outcomes=outcomes, marks="b, protected")
    return measure_table(EstimatorTables(Known(), 4), task)


# The shipped model


def test_the_shipped_file_is_written_byte_for_byte_by_its_script() -> None:
    assert load_maker().make() == read_tumours()


def test_the_recorded_run_is_what_the_shipped_model_gives() -> None:
    subject, recorded = open_subject(TUMOURS), find_recorded(TUMOURS)
    assert recorded is not None
    assert recorded.weights_sha256 == subject.identity.weights_sha256
    request = get_plugin("audits", "tabular").ask_file(subject, read_tumours(), FILE, {})
    values = Scorer(subject, Reading.PROBABILITY).read(request.task.rows)  # type: ignore[arg-type]
    assert len(values) == recorded.result.n == 284
    assert (values > 0).mean() == pytest.approx(recorded.result.said_yes.value)
    assert values.std(ddof=1) == pytest.approx(recorded.result.spread, rel=1e-4)
    assert hash_file(SHIPPED) in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_surrogate_names_a_feature_that_the_model_hardly_uses() -> None:
    """Radius and area of a tumour go together: the surrogate puts radius first, and moving radius turns 1 % of decisions."""
    recorded = find_recorded(TUMOURS)
    assert recorded is not None
    rows = {row.feature: row for row in recorded.result.by_feature}
    assert rows["radius"].flipped.value < 0.05
    assert rows["area"].flipped.value > 0.4
    sums, tree = recorded.result.surrogates
    assert all(rule.startswith("radius") for rule in tree.rules)
    weights = {rule.split(":")[0]: float(rule.rsplit(" ", 1)[1]) for rule in sums.rules}
    assert weights["radius"] < weights["area"] < 0


def test_a_readable_model_does_as_well_on_the_shipped_rows() -> None:
    recorded = find_recorded(TUMOURS)
    assert recorded is not None
    rows = {row.name: row for row in recorded.result.readable}
    for name in (LOGISTIC, BOOSTING):
        lead = rows[name].lead
        assert lead is not None
        assert lead.low is not None
        assert lead.high is not None
        assert lead.low < 0 < lead.high
        assert rows[name].rules
        assert not rows[name].missing


# A model of known wiring


def test_effects_are_those_of_the_known_model_and_an_unread_feature_does_nothing(known: TabularResult) -> None:
    rows = {row.feature: row for row in known.by_feature}
    for name, slope in (("a", 1), ("b", 0.5)):
        assert rows[name].effect.value == pytest.approx(slope * (rows[name].high - rows[name].low), abs=0.01)
    unread = rows["unread"]
    assert unread.effect.value == unread.permuted.value == unread.shapley.value == 0
    assert unread.loss is not None
    assert unread.loss.value == 0
    assert unread.flipped.value == 0
    assert rows["b"].is_protected
    assert known.unit == "logits"
    assert known.is_exact


def test_a_curve_that_turns_has_a_small_effect_end_to_end_and_is_seen_in_its_points(known: TabularResult) -> None:
    points = [row for row in known.curves if row.feature == "c"]
    middle = max(points, key=lambda row: row.partial.value)
    assert abs(middle.at) < 0.5
    assert middle.partial.value - points[0].partial.value > 0.75
    assert all(len(row.individual) == 20 for row in points)


def test_local_scores_add_up_and_counterfactuals_leave_protected_features(known: TabularResult) -> None:
    assert known.cases
    assert not known.cases[0].is_yes
    for case in known.cases:
        assert all("b:" not in one.changes for one in case.alternatives)
        assert all((one.value > 0) != case.is_yes for one in case.alternatives)
        assert case.shapley[3] == 0


def test_a_boosting_machine_and_a_logistic_regression_are_fitted_and_compared(known: TabularResult) -> None:
    assert [row.n_fit for row in known.readable] == [60, 60, 60]
    for row in known.readable:
        assert row.auc is not None
        assert row.auc.n == 60
        assert row.lead is not None
        assert row.lead.value == pytest.approx(1 - row.auc.value), (
            "the known model orders its own outcomes without error"
        )


def test_without_outcomes_no_readable_model_is_fitted_and_no_loss_is_a_number() -> None:
    class Line:
        def decision_function(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, 0]

    task = make_task(np.random.default_rng(0).normal(size=(40, 2)), ("a", "b"), reading=Reading.SCORE)
    found = measure_table(EstimatorTables(Line(), 2), task)
    assert found.unit == "model score"
    assert found.auc is None
    assert all(row.loss is None for row in found.by_feature)
    assert all(row.auc is None and "no column" in row.missing for row in found.readable)


def test_a_missing_package_is_said_and_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'interpret'", name="interpret")

    monkeypatch.setattr("audit_core.tabular.readable.fit_boosting", refuse)
    rows = np.random.default_rng(0).normal(size=(60, 4))
    task = make_task(rows, ("a", "b", "c", "d"), outcomes=Known().predict_proba(rows)[:, 1] > 0.5)
    found = {row.name: row for row in compare_readable(task, rows[:, 0], seed=0)}
    assert found[BOOSTING].auc is None
    assert "interpret is not installed" in found[BOOSTING].missing
    assert found[LOGISTIC].auc is not None


def test_a_model_with_one_answer_or_that_reads_nothing_or_changes_its_answer_gives_no_effect() -> None:
    task = make_task(np.random.default_rng(0).normal(size=(60, 2)), ("a", "b"), reading=Reading.SCORE)

    class Own:
        def __init__(self, read: object) -> None:
            self.predict = read

    always = measure_table(EstimatorTables(Own(lambda rows: np.full(len(rows), 3.0)), 2), task)
    assert not always.does_task
    assert "says yes to 100 %" in always.finding
    assert always.by_feature == ()
    draw = np.random.default_rng(1)
    with pytest.raises(ControlFailed, match="read twice"):
        measure_table(EstimatorTables(Own(lambda rows: rows[:, 0] + draw.normal(size=len(rows))), 2), task)
    scorer, rows = Scorer(EstimatorTables(Own(lambda rows: np.full(len(rows), 3.0)), 2), Reading.SCORE), task.rows
    with pytest.raises(ControlFailed, match="does not read"):
        check_model(scorer, rows, scorer.read(rows), seed=0)
    with pytest.raises(Refused, match="predict"):
        measure_table(EstimatorTables(object(), 2), task)


def test_a_counterfactual_that_does_not_turn_the_decision_when_run_stops_the_audit() -> None:
    scorer = Scorer(EstimatorTables(Known(), 4), Reading.PROBABILITY)
    one = Alternative(np.array([-5.0, 0, 0, 0]), (0,), 1.0, False, 0.5)
    with pytest.raises(ControlFailed):
        run_again(scorer, (one,), is_yes=False)


# ONNX files


def field(number: int, body: bytes) -> bytes:
    size, length = b"", len(body)
    while True:
        size += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
        if not length:
            key = number << 3 | 2
            return (bytes([key]) if key < 128 else bytes([key & 127 | 128, key >> 7])) + size + body


def make_onnx(*nodes: bytes, more: bytes = b"", initialiser: bytes = b"") -> bytes:
    graph = b"".join(field(1, node) for node in nodes) + (field(5, initialiser) if initialiser else b"")
    return field(7, graph) + more


ADD = field(4, b"Add")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "bytes"),
        (b"\x80" * 100, "parse"),
        (b"\x3a\x7f", "parse"),
        (b"x" * 8_000_001, "bytes"),
        (b"\x80\x04\x95 a pickle", "parse|graphs"),
        (make_onnx(), "operators"),
        (make_onnx(field(4, b"Loop")), "Loop"),
        (make_onnx(field(4, b"Add") + field(7, b"com.own")), "com.own"),
        (make_onnx(ADD, more=field(25, b"")), "functions"),
        (make_onnx(ADD + field(5, field(6, b""))), "inside the operator"),
        (make_onnx(ADD + field(5, field(5, field(13, b"/etc/passwd")))), "another file"),
        (make_onnx(ADD, initialiser=b"\x70\x01"), "another file"),
        (make_onnx(*[ADD] * 2_001), "2,001"),
    ],
)  # fmt: skip
def test_a_file_that_may_not_be_opened_is_refused_before_it_is_loaded(raw: bytes, words: str) -> None:
    with pytest.raises(ModelRefused, match=words):
        check_onnx(raw)
    with pytest.raises(ModelRefused):
        OnnxTables(raw)


def test_a_file_of_known_operators_that_is_no_valid_model_is_refused_by_its_runtime() -> None:
    check_onnx(make_onnx(ADD))
    with pytest.raises(ModelRefused, match="does not open"):
        OnnxTables(make_onnx(ADD))


def describe(name: bytes, width: int) -> bytes:
    """A tensor of floats with any number of rows."""
    sizes = field(1, field(2, b"N")) + field(1, b"\x08" + bytes([width]))
    return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, sizes)))


def double_rows(times: int, *, of_input: bool = True) -> bytes:
    """A model of allowed operators that joins its rows, or rows in the file, with themselves: 2 ** times rows for each."""
    first = describe(b"y0" if of_input else b"unread", 4)
    stored = b"" if of_input else field(5, b"\x08\x0a\x08\x04\x10\x01" + field(8, b"y0") + field(9, bytes(160)))
    nodes = b"".join(
        field(1, field(1, b"y%d" % at) * 2 + field(2, b"y%d" % (at + 1)) + field(4, b"Concat") + field(5, field(1, b"axis") + b"\x18\x00\xa0\x01\x02"))
        for at in range(times)
    )  # fmt: skip
    graph = nodes + field(2, b"g") + stored + field(11, first) + field(12, describe(b"y%d" % times, 4))
    return b"\x08\x08" + field(8, field(1, b"") + b"\x10\x11") + field(7, graph)


def test_a_model_that_asks_for_all_memory_is_refused_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.ones((10, 4))
    opened = OnnxTables(double_rows(40))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused, match=r"more than 256 MB for 10 rows"):
        opened.read_rows(rows)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024
    # Rows in the file are constants: nothing may be computed of them while the file is opened.
    constants = OnnxTables(double_rows(23, of_input=False))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024
    with pytest.raises(Refused, match=r"more than 256 MB"):
        constants.read_rows(rows)
    with pytest.raises(Refused, match=r"^80 outputs for 10 rows"):
        OnnxTables(double_rows(3)).read_rows(rows)
    monkeypatch.setattr(onnx_model, "MAX_SECONDS", 0.0)
    with pytest.raises(Refused, match="did not answer within 0 s"):
        OnnxTables(double_rows(19)).read_rows(rows)


def test_an_own_onnx_file_is_kept_under_its_digest_and_opens_by_path_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_MODELS", str(tmp_path))
    name = keep_onnx(SHIPPED.read_bytes())
    subject = open_subject(name)
    assert subject.identity.weights_sha256 == open_subject(TUMOURS).identity.weights_sha256
    assert subject.identity.licence == "not stated"
    own = tmp_path / "own.onnx"
    own.write_bytes(SHIPPED.read_bytes())
    assert open_subject(str(own)).identity.short == subject.identity.short
    with pytest.raises(ModelRefused):
        open_subject("onnx-" + "0" * 64)
    with pytest.raises(CapabilityRefused):
        get_plugin("audits", "ablation").require(subject)
    with pytest.raises(Refused):
        subject.tokenizer.encode("When Mary")
    assert len(subject.tokenizer.encode("0.5 -3 1e9")) == 3


def test_rows_of_another_width_are_refused() -> None:
    subject = open_subject(TUMOURS)
    raw = b"\n".join(line.partition(b",")[2] for line in read_tumours().splitlines())
    with pytest.raises(Refused, match="9 features"):
        get_plugin("audits", "tabular").ask_file(subject, raw, "own.csv", {})
    with pytest.raises(Refused, match="2 features"):
        subject.read_rows(np.zeros((1, 2)))  # type: ignore[attr-defined]
