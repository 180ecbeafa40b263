"""The default model read layer by layer: equal bits, and a sweep within a limit of memory that its weights exceed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit_core import load_prompt_set, tokenise
from audit_core.component import Kind
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Direction, Replacement, intervene
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject, load_streamed

pytestmark = pytest.mark.slow

ROOM_BYTES = 400 * 1024**2
"""Memory beside the libraries, as the system limits it (RLIMIT_DATA, which does not count the map that checks a header): embeddings (113 MB), three layers (43 MB), tokenizer and rows; all weights take 538 MB."""
SWEEP = """
import resource, sys
from pathlib import Path
import torch
from audit_core import Kind, Replacement, intervene, load_prompt_set, open_subject, tokenise
from audit_core.engine.streamed.price import read_memory
from audit_core.engine.threads import import_libraries
from audit_core.prompts.prompt_set import PromptSet
torch.set_num_threads(1)
import_libraries()
room = read_memory("VmData") + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (room, room))
subject = open_subject("default", streamed=sys.argv[1] == "streamed")
prompts = tokenise(PromptSet("one", load_prompt_set("indirect_object").prompts[:1]), subject.tokenizer)
edits = [intervene([part], Replacement.RESAMPLE) for part in subject.components(Kind.HEAD)[::9]]
found = subject.run(prompts, edits)
print([float(value).hex() for value in (found.answer - found.foil)[:, 0]])
"""


def test_heads_of_the_default_model_have_equal_effects_streamed_and_in_memory(
    default_subject: TransformerSubject, indirect_objects: TokenisedPrompts
) -> None:
    streamed = load_streamed(Path(default_subject.identity.folder))
    few = replace(indirect_objects, pairs=indirect_objects.pairs[:2])
    parts = default_subject.components(Kind.HEAD)[::7]
    edits = [CLEAN_RUN, CORRUPTED_RUN, *(intervene([part], Replacement.RESAMPLE) for part in parts)]
    edits += [intervene([part], Replacement.RESAMPLE, direction=Direction.DENOISING) for part in parts[::3]]
    edits += [intervene([part], way) for part in parts[::5] for way in (Replacement.NOISE, Replacement.IDENTITY)]
    found, wanted = (one.run(few, edits, seed=1) for one in (streamed, default_subject))
    assert np.array_equal(found.answer, wanted.answer)
    assert np.array_equal(found.foil, wanted.foil)
    assert streamed.identity == default_subject.identity


def test_it_is_swept_within_a_limit_of_memory_that_its_weights_exceed(
    default_subject: TransformerSubject,
) -> None:
    streamed, in_memory = sweep_within("streamed", ROOM_BYTES), sweep_within("in memory", ROOM_BYTES)
    assert streamed.returncode == 0, streamed.stderr[-800:]
    # Positive control: the limit is one that the model in memory exceeds.
    assert in_memory.returncode != 0
    assert "memory" in in_memory.stderr.lower()
    values = json.loads(streamed.stdout.replace("'", '"'))
    assert len(values) == 30
    prompts = tokenise(PromptSet("one", load_prompt_set("indirect_object").prompts[:1]), default_subject.tokenizer)
    edits = [intervene([part], Replacement.RESAMPLE) for part in default_subject.components(Kind.HEAD)[::9]]
    wanted = default_subject.run(prompts, edits)
    assert values == [float(value).hex() for value in (wanted.answer - wanted.foil)[:, 0]]


def sweep_within(how: str, room: int) -> subprocess.CompletedProcess[Any]:
    # One arena of the allocator: each would reserve memory that it does not use.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SWEEP, how, str(room)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600, env=environment, check=False)
