"""Blending: ranks, post-processing steps, the search over them, and the recipe that says it all."""
