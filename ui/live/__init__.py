"""The live audit."""
