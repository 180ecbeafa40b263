"""The arithmetic of a transformer block without TransformerLens' wrappers around it: the same bits, in fewer calls.

A file per family of architectures. `direct_block.find_direct_blocks` uses one only after it computed the same bits as
TransformerLens' own block on the opened model; see docs/decisions/0074-blocks-run-directly.md.
"""
