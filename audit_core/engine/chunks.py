"""Runs one chunk of variants, in two where a device's memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from audit_core.engine.beginnings import Readings
from audit_core.engine.device import is_out_of_memory, release_memory
from audit_core.engine.hooks import Sources
from audit_core.engine.plan import Chunk
from audit_core.engine.readout import LogitTable
from audit_core.engine.wave import Variant
from audit_core.errors import InterventionRefused

if TYPE_CHECKING:
    import torch

    from audit_core.engine.runner import WaveRunner


class ChunkRun:
    """Runs the chunks of one group of prompts into a table."""

    def __init__(
        self,
        runner: WaveRunner,
        variants: Sequence[Variant],
        sources: Sources,
        places: Readings,
        table: LogitTable,
        advance: Callable[[int], None],
    ) -> None:
        """Args:
        advance: called with the work of each block; with less than nothing for work that has to be done again.
        """
        self.runner, self.variants, self.sources = runner, variants, sources
        self.places, self.table, self.advance = places, table, advance

    def run(self, chunk: Chunk, generator: torch.Generator) -> int:
        """Fill the table's rows of these variants; returns the number of applied edits.

        Where memory does not suffice, they run as two chunks, from the same state of the generator. Only a control draws
        from it, and asks no more of its noise than that something changes.

        Raises:
            InterventionRefused: a single variant does not fit.
        """
        state, done = generator.get_state(), 0

        def count(work: int) -> None:
            nonlocal done
            done += work
            self.advance(work)

        try:
            return self._run(chunk, generator, count)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            # Not kept: it holds the tensors of the run that failed.
            found = str(error).partition("\n")[0][:200]
        self.advance(-done)
        release_memory(self.runner.model.device)
        if len(chunk.variants) == 1:
            raise InterventionRefused(
                f"One intervention on {len(self.places.prompts)} prompts does not fit the device's memory: {found}",
                wanted="memory for one block on these prompts.",
                remedy="choose fewer or shorter prompts, close other programs on this device, or use the CPU.",
            )
        generator.set_state(state)
        middle = len(chunk.variants) // 2
        parts = (chunk.variants[:middle], chunk.variants[middle:])
        return sum(self.run(replace(chunk, variants=part), generator) for part in parts)

    def _run(self, chunk: Chunk, generator: torch.Generator, count: Callable[[int], None]) -> int:
        wave = self.runner.run_variants(
            self.sources,
            [self.variants[i] for i in chunk.variants],
            start=chunk.start,
            n_last=self.places.n_last,
            generator=generator,
            on_layer=count,
        )
        self.runner.read(self.table, self.places.take(wave.finals), chunk.variants, self.places.prompts)
        # One edit of a row is an edit of every prompt that is read from it.
        return wave.edits_applied * len(self.places.prompts)
