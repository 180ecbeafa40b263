"""The command `attention-tests`."""

from __future__ import annotations

import argparse

from audit_core.attention.agreement import Agreement
from audit_core.audits.attention_tests import AttentionTestsRequest, AttentionTestsResult
from audit_core.cli.output import print_json, print_result
from audit_core.cli.session import open_audit, run_audit
from audit_core.component import parse_components
from audit_core.run import dump_result, identify_run
from audit_core.stats.estimates import format_estimate


def run_attention_tests(options: argparse.Namespace) -> int:
    """Run pattern ablations, attention views against causal effects, and weight randomisation; gives no verdict on a head."""
    subject, prompts, auditor = open_audit(options, "attention-tests")
    heads = parse_components(" ".join(options.heads))
    request = AttentionTestsRequest(prompts, prompts, heads, options.shuffles, seed=options.seed)
    done = run_audit(auditor, "attention_tests", request)
    result: AttentionTestsResult = done.result
    if options.json:
        more = {"identity": identify_run(subject.identity, request), "half": options.half}
        return print_json(dump_result(result) | more | {"notices": list(done.notices)})
    print_result(
        f"{result.n} prompts of {result.prompts}, {result.shuffles} shuffles each; δ = {result.delta:g} of the gap."
    )
    print_result("Attention pattern ablated (causal):")
    for test in result.patterns:
        print_result(f"  {test.sentence}")
    print_result("Attention views vs. causal effect (a comparison, a score of neither):")
    for comparison in result.comparisons:
        print_result(f"  {_describe(comparison)}")
    for found in result.randomisations:
        print_result(f"Weights shuffled from layer {found.layer} up. {found.sentence}")
        print_result(f"  answer: {format_estimate(found.trained)} before, {format_estimate(found.shuffled)} after")
        for view in found.views:
            print_result(f"  {_describe(view.agreement)}: {view.sentence}")
    for text in result.not_tested:
        print_result(f"Not tested: {text}")
    return 0


def _describe(agreement: Agreement) -> str:
    number = agreement.no_estimate if agreement.estimate is None else format_estimate(agreement.estimate)
    return f"{agreement.view} over {agreement.over}: {number}"
