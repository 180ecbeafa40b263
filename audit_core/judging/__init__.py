"""From effects to a verdict: faithfulness, matched null, self-repair, distribution shift, the rule."""
