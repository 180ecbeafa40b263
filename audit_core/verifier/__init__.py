"""Verifier of evidence packs, standard library only; `verify_pack.py` joins these modules into one file."""
