"""The claims register, the change log, sentences of model cards."""
