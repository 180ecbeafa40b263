"""What each figure of `make bench` should be at most, or at least; figures without a bound are left out."""

from __future__ import annotations

AT_MOST = {
    "app.first_paint_s": 2.5,
    "app.ready_with_a_page_open_s": 10.0,
    "app.ready_s": 10.0,
    "live.latency_s": 1.0,
    "live.latency_max_s": 1.0,
    "live.latency_beside_a_sweep_p95_s": 1.0,
    "sweep.gemm_floor_ratio": 1.5,
    "sweep.cpu_floor_ratio": 1.2,
    "sweep.cpu_floor_ratio_width_256": 2.0,
    "sweep.max_abs_error_logit": 1e-4,
    "sweep.prompts_growth": 1.1,
    "sweep.peak_memory_bytes": 1e9,
    "streamed.time_vs_in_memory_one_pair": 1.2,
    "streamed.time_vs_in_memory_four_pairs": 1.2,
    "cancel.longest_s": 1.0,
}
AT_LEAST = {
    "sweep.speedup_vs_transformer_lens": 40.0,
    "streamed.is_bit_equal_one_pair": 1.0,
    "streamed.is_bit_equal_four_pairs": 1.0,
}


def judge(figures: dict[str, float]) -> dict[str, tuple[str, str]]:
    """Bound and whether it is met, for each figure that has one.

    Raises:
        SystemExit: a bound is of no figure, as after a figure was renamed.
    """
    if lost := (AT_MOST.keys() | AT_LEAST.keys()) - figures.keys():
        raise SystemExit(f"No figure for the bound of {', '.join(sorted(lost))}.")
    most = {name: (f"≤ {bound:g}", figures[name] <= bound) for name, bound in AT_MOST.items()}
    least = {name: (f"≥ {bound:g}", figures[name] >= bound) for name, bound in AT_LEAST.items()}
    return {name: (bound, "met" if is_met else "**missed**") for name, (bound, is_met) in (most | least).items()}
