"""Prompt sets: rows, answers, tokenisation, templates, and selection of measurable rows."""
