"""Plug-ins: file formats of benchmarks, one per file."""
