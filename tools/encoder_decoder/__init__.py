"""A small encoder–decoder of our own: text, training, evaluation, model card, prompt sets."""
