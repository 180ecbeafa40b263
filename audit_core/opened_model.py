"""The measurements of the pages in a line of Python each: open a model, ablate, sweep, attend, judge a claim."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.attention.plausibility import Source
from audit_core.audits.ablation import AblationRequest, AblationResult
from audit_core.audits.attention import AttentionRequest, AttentionResult
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.sweep import SweepRequest, SweepResult
from audit_core.claim import Claim
from audit_core.component import Component, Kind, parse_components
from audit_core.intervention import Direction, Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.request import Request
from audit_core.run import Actor, Auditor, open_subject
from audit_core.store import RunLog, audit_home
from audit_core.tables import make_grid


@dataclass(frozen=True)
class OpenedModel:
    """A loaded model with its run log. Every call is logged, and an equal call takes its stored result.

    Prompts are a `PromptSet`, or its rows as `tokenise` returns them. Each call runs its controls first.
    """

    auditor: Auditor
    actor: Actor

    def tokenise(self, prompts: PromptSet | TokenisedPrompts, *, most: int | None = None) -> TokenisedPrompts:
        """The set under this model's tokenizer; with `most`, so many prompts, spread evenly over the templates.

        Raises:
            PromptRefused: a row that this tokenizer cannot align, with the reason.
        """
        rows = tokenise(prompts, self.auditor.subject.tokenizer) if isinstance(prompts, PromptSet) else prompts
        return rows if most is None else rows.take(rows.spread(most))

    def ablate(
        self,
        components: str | Iterable[Component],
        prompts: PromptSet | TokenisedPrompts,
        *,
        replacement: Replacement | str = Replacement.RESAMPLE,
        direction: Direction | str = Direction.NOISING,
        metric: str = "logit_difference",
    ) -> AblationResult:
        """Causal: the joint effect of replacing these components, such as `"L23.H3, L20.H0"`; in the metric's unit.

        Raises:
            Refused: a component that this model lacks.
            NotMeasured: a control failed, or the model does not do the task.
        """
        named = parse_components(components) if isinstance(components, str) else tuple(components)
        rows = self.tokenise(prompts)
        request = AblationRequest(rows, rows, named, Replacement(replacement), Direction(direction), metric=metric)
        found: AblationResult = self.run("ablation", request)
        return found

    def sweep(
        self,
        prompts: PromptSet | TokenisedPrompts,
        *,
        kind: Kind | str = Kind.HEAD,
        replacement: Replacement | str = Replacement.RESAMPLE,
        metric: str = "logit_difference",
    ) -> SweepResult:
        """Causal: the exact effect of every component of a kind, each replaced alone; raises as `ablate` does."""
        rows = self.tokenise(prompts)
        request = SweepRequest(rows, rows, Kind(kind), Replacement(replacement), metric=metric)
        found: SweepResult = self.run("sweep", request)
        return found

    def attend(self, prompts: PromptSet | TokenisedPrompts, *, source: Source | str = Source.ANSWER) -> AttentionResult:
        """Observational: attention of every head from the answer position to one token. It is no evidence of an effect."""
        found: AttentionResult = self.run("attention", AttentionRequest(self.tokenise(prompts), Source(source)))
        return found

    def test(self, claim: Claim, prompts: PromptSet | TokenisedPrompts, *, seed: int = 0) -> ClaimTestResult:
        """Causal: the verdict on a claim with intervals, matched null and reason; exploratory, as no plan was frozen.

        Raises:
            NotMeasured: a control failed, or the model does not do the task.
        """
        found: ClaimTestResult = self.run("claim_test", ClaimTestRequest(self.tokenise(prompts), claim, seed))
        return found

    def run(self, audit: str, request: Request) -> Any:
        """The result of any audit of the shelf; `list_plugins("audits")` names them."""
        return self.auditor.run(audit, request, actor=self.actor).result


def open_model(
    name: str = "default", *, home: Path | None = None, streamed: bool = False, device: str | None = None
) -> OpenedModel:
    """Load a model and open the run log.

    Args:
        name: a known name, a planted model, a folder in Hugging Face format, or a hub id.
        home: the data directory, made if it is missing; `AUDIT_HOME`, or this user's, if not given.
        streamed: keep its layers in its files and read one at a time; see `open_subject`.
        device: `cpu`, `cuda` or `mps`; see `open_subject`.

    Raises:
        ModelRefused: it cannot or must not be loaded; nothing is filled in.

    Example:
        >>> str(open_model("planted-induction").auditor.subject.components(Kind.HEAD)[0])
        'L0.H0'
    """
    if home is not None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    auditor = Auditor(
        open_subject(name, streamed=streamed, device=device), RunLog(audit_home() if home is None else home)
    )
    return OpenedModel(auditor, Actor(getpass.getuser(), "Python"))


def tabulate_effects(result: SweepResult) -> Any:
    """Effects of a sweep as a pandas data frame, one column a layer and one row an index in it; the metric's unit."""
    return make_grid(
        parse_components(", ".join(cell.component for cell in result.cells)),
        {cell.component: cell.estimate.value for cell in result.cells},
    )
