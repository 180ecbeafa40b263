"""A toy pack with the answer of an audit that tests no claim."""

from __future__ import annotations

import hashlib
from typing import Any

from toy.packs import AT, Story

from audit_core.verifier.answers import compute_model_digest

RUN = "r9"
MEMBER = f"answers/{RUN}.json"


def make_answer() -> dict[str, Any]:
    identity: dict[str, Any] = {f"{name}_sha256": "7" * 64 for name in ("weights", "tokenizer", "config")}
    identity |= {"dtype": "float32", "attention": "eager", "model": "toy"}
    return {
        "schema": "assay/answer/1", "run_id": RUN, "audit": "documents", "question": "Which?", "started_at": AT,
        "wall_s": 1.0, "model_digest": compute_model_digest(identity), "prompts_sha256": "2" * 64, "identity": identity,
        "request": {}, "result": '{"finding": "It is grounded.", "n": 3}',
    }  # fmt: skip


def tell_answer(story: Story) -> None:
    """Put an answer into a pack, with its events and its name in the export's event."""
    answer = make_answer()
    start = {"kind": "documents", "content_key": "4" * 64} | {
        name: answer[name] for name in ("prompts_sha256", "model_digest")
    }
    sha256 = hashlib.sha256(answer["result"].encode()).hexdigest()
    end = {"outcome": "done", "reason": "", "result_sha256": sha256, "wall_s": 1.0}
    story.events[-1:-1] = [("run.started", RUN, start, True), ("run.ended", RUN, end, True)]
    story.events[-1][2]["answers"] = [RUN]
    story.documents[MEMBER] = answer
