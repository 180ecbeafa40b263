"""Checks an evidence pack with the standard library alone; `verify_pack.py` is these files joined into one."""
