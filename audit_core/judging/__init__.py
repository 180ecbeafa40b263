"""From effects to verdicts: faithfulness, random baseline, self-repair, distribution shift, verdict rule."""
