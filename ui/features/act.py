"""Writing labels of features: checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

from audit_core import audit_home
from audit_core.governance import Permission
from audit_core.store import FeatureLabel, FeatureLabels, LabelEvidence
from ui.flow import sample, services


def write_label(
    dictionary: str, component: str, text: str, based_on: int, test: LabelEvidence | None, name: str
) -> FeatureLabel:
    """Append a version of a label in the signed-in user's name.

    Args:
        name: the author without sign-in.
    """
    sample.refuse_on_sample("no label was written")
    person = services.authorize(Permission.RUN, component)
    by = services.name_author(person, name)
    return FeatureLabels(audit_home()).write(dictionary, component, text, by=by, based_on=based_on, test=test)
