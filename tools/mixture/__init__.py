"""A small mixture-of-experts language model of our own: text, training, evaluation, model card, prompt sets."""
