"""Prompt sets: rows, answers, tokenisation, templates, and which rows can be measured."""
