"""The command `monitor`: make a monitor, show it, run it over texts, and replay a stored case."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audit_core.cli.gate import write_file
from audit_core.cli.output import print_json, print_result, print_status, show_fetch, show_progress
from audit_core.cli.session import current_actor, open_subject
from audit_core.errors import Refused
from audit_core.governance.gate_report import show_text
from audit_core.monitors import (
    Aggregation,
    Holds,
    Monitor,
    MonitorRun,
    MonitorText,
    Outcome,
    RateBound,
    Recipe,
    Sampling,
    SignalKind,
    TextRule,
    TokenRule,
    check_monitor,
    describe_monitor,
    describe_replay,
    fit_monitor,
    load_case,
    load_monitor,
    load_use,
    make_planted_texts,
    read_texts,
    record_alert,
    record_case,
    replay_case,
    run_monitor,
    save_case,
    save_monitor,
    save_use,
    summarise_check,
    summarise_monitor,
    tokenise_text,
    write_own_texts,
)
from audit_core.store import audit_home

ALARM, DRIFTED, EXPIRED = 1, 3, 4
"""Exit codes of `monitor run`: an alarm; no alarm, but the calibration no longer describes the traffic; neither, but the monitor
has expired."""
ABOVE = 1
"""Exit code of `monitor check`: a style has more false alarms than stated."""
NOT_REPRODUCED = 1
MAX_INPUT_BYTES = 64 << 20


def add_monitor_commands(monitor: argparse.ArgumentParser) -> None:
    """Add the actions of `monitor`, each with `--json`."""
    actions = monitor.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
        return sub

    _ask_fit(add("fit", fit_file, "fit a monitor on JSON Lines, calibrate it, and measure it beside its baselines"))
    shown = add("show", show_file, "what was measured of a monitor; no model is loaded")
    shown.add_argument("file", type=Path)
    run = add(
        "run",
        run_file,
        "score texts from standard input: exit code 0 no alarm, 1 an alarm, 3 drift, 4 expired, 2 refused",
    )
    run.add_argument("file", type=Path)
    run.add_argument("--model", default="default", help="must be the model that the monitor was calibrated on")
    run.add_argument(
        "--state", type=Path, help="a small file that counts the texts and the drift of this stream over many runs"
    )
    run.add_argument("--log", action="store_true", help="record an alarm in the audit log of the data directory")
    run.add_argument(
        "--mark-stale", action="store_true", help="with an alarm, also mark every active claim about the model as stale"
    )
    check = add(
        "check",
        check_file,
        "count false alarms on texts it has never seen, by style: exit code 0 none above the rate, 1 one is",
    )
    check.add_argument("file", type=Path)
    check.add_argument("--model", default="default", help="must be the model that the monitor was calibrated on")
    check.add_argument("--no-overhead", action="store_true", help="do not time it")
    check.add_argument("--out", type=Path, help="also write the check as JSON")
    record = add("record", record_file, "let the model write after a prompt, and keep the text with its scores")
    record.add_argument("file", type=Path)
    record.add_argument("--model", default="default", help="must be the model that the monitor was calibrated on")
    record.add_argument("--text", required=True, help="the prompt")
    record.add_argument("--tokens", type=int, default=32, help="tokens to write (default 32)")
    record.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest token (default)")
    record.add_argument("--seed", type=int, default=0)
    record.add_argument("--out", type=Path, required=True)
    replay = add("replay", replay_file, "write a stored case again: exit code 0 reproduced, 1 not reproduced")
    replay.add_argument("case", type=Path)
    replay.add_argument("--monitor", type=Path, required=True, help="the monitor that the case was stored with")
    replay.add_argument("--model", default="default", help="the same model, or another one to compare with")
    text = "let the model write texts; those that collapse into repetition are the cases of `fit`"
    _ask_texts(add("write", write_texts, text))
    planted = add("planted", write_planted, "write texts for planted-strict whose cases begin at a known token")
    planted.add_argument("case", choices=("vote", "unread"), help="the output shows it, or does not")
    planted.add_argument("--normal", type=int, default=300)
    planted.add_argument("--cases", type=int, default=80)
    planted.add_argument("--seed", type=int, default=0)
    planted.add_argument("--out", type=Path, required=True)


def _ask_texts(own: argparse.ArgumentParser) -> None:
    own.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
    own.add_argument("--texts", type=int, default=300)
    own.add_argument("--tokens", type=int, default=36, help="of each text (default 36)")
    own.add_argument("--temperature", type=float, default=0.3, help="low ones collapse more often (default 0.3)")
    own.add_argument("--seed", type=int, default=0)
    own.add_argument("--out", type=Path, required=True)


def _ask_fit(fit: argparse.ArgumentParser) -> None:
    plain = Recipe(name="")
    fit.add_argument(
        "texts", type=Path, help='lines such as {"text": "…"} and {"text": "…", "case": true, "onset": 40}'
    )
    fit.add_argument("--out", type=Path, required=True, help="the monitor's file")
    fit.add_argument("--model", default="default", help="default, a known name, a folder, or a hub id")
    fit.add_argument("--name", help="shown wherever the monitor is; the file's name unless given")
    fit.add_argument("--signal", choices=tuple(SignalKind), default=plain.signal.value)
    fit.add_argument("--layer", type=int, required=True, help="its residual stream is read where it enters this layer")
    fit.add_argument("--tokens", choices=tuple(TokenRule), default=plain.rule.tokens.value)
    fit.add_argument("--aggregation", choices=tuple(Aggregation), default=plain.rule.aggregation.value)
    fit.add_argument("--rate", type=float, default=plain.rate, help="false-alarm rate per text (default 0.05)")
    fit.add_argument("--rate-bound", choices=tuple(RateBound), default=plain.rate_bound.value)
    fit.add_argument("--dictionary", default="", help="for a feature: a shipped dictionary")
    fit.add_argument("--feature", type=int, default=0, help="for a feature: its number")
    fit.add_argument("--run-length", type=int, default=plain.run_length, help="texts between false alarms of drift")
    fit.add_argument(
        "--draws", type=int, default=plain.draws, help="random directions of the causal step; 0: without it"
    )
    fit.add_argument("--examples", type=int, default=0, help="texts to keep in the file, to be shown (default none)")
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--valid-days", type=int, default=plain.valid_days, help="expires after so many days; 0: no date")
    fit.add_argument("--valid-texts", type=int, default=plain.valid_texts, help="expires after so many; 0: no number")


def fit_file(options: argparse.Namespace) -> int:
    """Make a monitor, and write it."""
    if options.out.exists():
        raise Refused(f"{options.out.name[:60]!r} exists.", wanted="a new file.", remedy="choose another name.")
    subject = open_subject(options.model, on_progress=show_fetch)
    recipe = Recipe(
        name=options.name or options.out.stem[:80], signal=SignalKind(options.signal), layer=options.layer,
        rule=TextRule(TokenRule(options.tokens), Aggregation(options.aggregation)), rate=options.rate,
        rate_bound=RateBound(options.rate_bound), dictionary=options.dictionary, feature=options.feature,
        run_length=options.run_length, draws=options.draws, examples=options.examples, seed=options.seed,
        valid_days=options.valid_days, valid_texts=options.valid_texts,
    )  # fmt: skip
    texts = read_texts(_read_file(options.texts).splitlines(), subject.tokenizer)
    made = fit_monitor(subject, texts, recipe, on_progress=show_progress)
    save_monitor(made, options.out)
    return _print_monitor(made, options)


def show_file(options: argparse.Namespace) -> int:
    """Show what was measured of a monitor."""
    return _print_monitor(load_monitor(options.file), options)


def run_file(options: argparse.Namespace) -> int:
    """Score the texts on standard input; the exit code is for a pipeline."""
    monitor = load_monitor(options.file)
    raw = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    _check_size(len(raw))
    subject = open_subject(options.model, on_progress=show_fetch)
    monitor.require_model(subject)
    texts = read_texts(raw.splitlines(), subject.tokenizer)
    use = None if options.state is None else load_use(options.state, monitor)
    run = run_monitor(subject, monitor, texts, use=use, on_progress=show_progress)
    if options.state is not None:
        save_use(run.use, options.state)
    code = ALARM if run.n_alarms else DRIFTED if not run.is_described else EXPIRED if run.expired else 0
    alert = None
    if code in (ALARM, DRIFTED) and (options.log or options.mark_stale):
        alert = record_alert(
            audit_home(), monitor, run, texts_sha256=hashlib.sha256(raw).hexdigest(), by=current_actor().name,
            marks_stale=options.mark_stale,
        )  # fmt: skip
    if options.json:
        print_json(_describe_run(monitor, run, code) | {"stale": [] if alert is None else list(alert.stale)})
        return code
    _print_run(monitor, run)
    if alert is not None:
        stale = f"; stale now: {', '.join(alert.stale) or 'no claim'}" if options.mark_stale else ""
        print_status(f"Recorded in the audit log as event {alert.seq}{stale}.")
    return code


def check_file(options: argparse.Namespace) -> int:
    """Check the monitor on the texts on standard input."""
    monitor = load_monitor(options.file)
    raw = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    _check_size(len(raw))
    subject = open_subject(options.model, on_progress=show_fetch)
    texts = read_texts(raw.splitlines(), subject.tokenizer)
    found = check_monitor(subject, monitor, texts, with_overhead=not options.no_overhead, on_progress=show_progress)
    code = ABOVE if any(one.holds is Holds.ABOVE for one in found.styles) else 0
    if options.out is not None:
        write_file(options.out, (json.dumps(found.describe(), allow_nan=False, indent=1) + "\n").encode())
    if options.json:
        print_json(found.describe() | {"exit_code": code})
        return code
    for line in summarise_check(found):
        print_result(show_text(line))
    return code


def record_file(options: argparse.Namespace) -> int:
    """Store a case."""
    monitor = load_monitor(options.file)
    subject = open_subject(options.model, on_progress=show_fetch)
    case = record_case(
        subject, monitor, tokenise_text(options.text, subject.tokenizer),
        Sampling(options.tokens, options.temperature, options.seed), on_progress=show_progress,
    )  # fmt: skip
    save_case(case, options.out)
    at = case.alarm_at
    if options.json:
        return print_json({"written": list(case.written), "alarm_at": at, "threshold": case.threshold})
    text = "".join(subject.tokenizer.piece(one) for one in case.written)
    print_result(show_text(f"Written: {text}"))
    print_result("No alarm." if at is None else f"Alarm at token {at}.")
    return 0


def replay_file(options: argparse.Namespace) -> int:
    """Write a stored case again, and compare what was written and what the monitor reads."""
    case, monitor = load_case(options.case), load_monitor(options.monitor)
    found = replay_case(open_subject(options.model, on_progress=show_fetch), monitor, case, on_progress=show_progress)
    code = 0 if found.outcome is Outcome.REPRODUCED else NOT_REPRODUCED
    if options.json:
        print_json(describe_replay(found))
        return code
    where = "" if found.differs_at is None else f": token {found.differs_at} of the reply is the first that differs"
    model = "the same model" if found.is_same_model else "another model; the threshold is not its own"
    print_result(f"{found.outcome.value.upper()}{where} ({model}).")
    if not found.now:
        print_result(f"Scores now: not measured: {found.why_no_scores}.")
        return code
    changed = "none by more than rounding" if found.changed_at is None else f"first at token {found.changed_at}"
    print_result(f"Scores of the stored tokens that changed: {changed}.")
    print_result("token  before     now        text")
    for at, (piece, before, now) in enumerate(zip(found.pieces, found.before, found.now)):
        print_result(show_text(f"{at:>5}  {before:<9.4g}  {now:<9.4g}  {json.dumps(piece, ensure_ascii=False)}"))
    return code


def write_texts(options: argparse.Namespace) -> int:
    """Write the model's own texts as JSON Lines."""
    subject = open_subject(options.model, on_progress=show_fetch)
    found = write_own_texts(
        subject,
        options.texts,
        options.tokens,
        temperature=options.temperature,
        seed=options.seed,
        on_progress=show_progress,
    )
    write_file(options.out, _dump_texts(found))
    n_cases = sum(one.is_case for one in found)
    if options.json:
        return print_json({"texts": len(found), "cases": n_cases})
    print_result(f"{len(found)} texts, {n_cases} of which repeat themselves from a known token on.")
    return 0


def _dump_texts(texts: Sequence[MonitorText]) -> bytes:
    rows = []
    for text in texts:
        case = {"case": True, "onset": text.onset} if text.is_case else {}
        rows.append(json.dumps({"id": text.id, "ids": list(text.ids)} | case))
    return ("\n".join(rows) + "\n").encode()


def write_planted(options: argparse.Namespace) -> int:
    """Write planted texts as JSON Lines."""
    if not 0 <= options.cases <= 5_000 or not 1 <= options.normal <= 5_000:
        raise Refused("A number of texts outside the range.", wanted="at most 5,000 of each.", remedy="change it.")
    texts = make_planted_texts(options.case, options.normal, options.cases, seed=options.seed)
    write_file(options.out, _dump_texts(texts))
    if options.json:
        return print_json({"texts": len(texts)})
    print_result(f"{len(texts)} texts for planted-strict; read layer 1.")
    return 0


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise Refused(f"No file {path.name[:60]!r}.", wanted="JSON Lines.", remedy="give its path.")
    _check_size(path.stat().st_size)
    return path.read_bytes()


def _check_size(size: int) -> None:
    if size > MAX_INPUT_BYTES:
        raise Refused(f"More than {MAX_INPUT_BYTES:,} bytes.", wanted="a smaller file.", remedy="split it.")


def _print_monitor(monitor: Monitor, options: argparse.Namespace) -> int:
    if options.json:
        return print_json(describe_monitor(monitor))
    for line in summarise_monitor(monitor):
        print_result(show_text(line))
    return 0


def _describe_run(monitor: Monitor, run: MonitorRun, code: int) -> dict[str, Any]:
    texts = [
        {"id": one.id, "score": one.score, "alarm": one.is_alarm, "at": one.at, "token": one.piece, "baselines": one.baselines}
        for one in run.texts
    ]  # fmt: skip
    return {
        "monitor": run.monitor, "threshold": monitor.threshold, "alarms": run.n_alarms, "exit_code": code,
        "expired": list(run.expired), "scored": run.use.n_texts, "drift": {"peak": run.drift.peak, "limit": run.drift.limit, "at": run.drift.at}, "texts": texts,
    }  # fmt: skip


def _print_run(monitor: Monitor, run: MonitorRun) -> None:
    for reason in run.expired:
        print_result(f"EXPIRED: {reason}.")
    if not run.is_described:
        print_result(
            f"DRIFT at text {run.use.drifted_at}: the calibration no longer describes this traffic, so the false-alarm rate is not bounded."
        )
    for one in run.texts:
        if one.is_alarm:
            others = ", ".join(one.baselines) or "no output-only baseline"
            print_result(
                show_text(f"ALARM  {one.id}  score {one.score:.4g} at token {one.at} {one.piece!r}  (also: {others})")
            )
    rate, bound = monitor.recipe.rate, monitor.report.found.threshold.bound
    print_result(
        f"{run.n_alarms} alarms in {len(run.texts)} texts. Stated false-alarm rate {rate:g}; at most {bound:.3g} for this "
        f"calibration set, with 95 % confidence: up to {bound * len(run.texts):.1f} alarms in so many normal texts."
    )
