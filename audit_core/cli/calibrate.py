"""The command `calibrate`: error rates of the verdict rule on models with known ground truth."""

from __future__ import annotations

import argparse

from audit_core.calibration.census import count_supported
from audit_core.calibration.report import PAGE, save_calibration, summarise, write_markdown
from audit_core.calibration.samples import calibrate
from audit_core.cli.output import print_json, print_result, print_status, show_progress
from audit_core.errors import Refused
from audit_core.run import dump_result


def calibrate_rule(options: argparse.Namespace) -> int:
    if options.write and not PAGE.parent.is_dir():
        raise Refused(
            "An installed package without the documentation.",
            wanted="a checkout of the repository.",
            remedy="run the command there, or omit --write to print the numbers.",
        )
    samples = calibrate(
        seeds=range(options.builds),
        samples=options.samples,
        on_model=lambda name, done, total: print_status(f"{name} ({done + 1} of {total})"),
    )
    census = None if options.planted_only else count_supported(on_progress=show_progress)
    found = summarise(samples, census)
    if options.write:
        save_calibration(found)
        print_status(f"Written to {PAGE.name} and the record that verdicts quote.")
    if options.json:
        return print_json(dump_result(found))
    print_result(write_markdown(found))
    return 0
