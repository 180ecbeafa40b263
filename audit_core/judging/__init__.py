"""From effects to verdicts: faithfulness, random baseline, self-repair, distribution shift, verdict rule."""

from audit_core.judging.identification import Assumption
from audit_core.judging.members import Member
from audit_core.judging.repair import Backup, Repair
from audit_core.judging.sample_size import SampleSize, plan_sample_size
from audit_core.judging.shift import DistributionShift
from audit_core.judging.trial import NullFinding
from audit_core.judging.verdict import REASONS, State, Verdict

__all__ = [
    "REASONS",
    "Assumption",
    "Backup",
    "DistributionShift",
    "Member",
    "NullFinding",
    "Repair",
    "SampleSize",
    "State",
    "Verdict",
    "plan_sample_size",
]
