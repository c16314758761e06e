"""Submission: the rows that are asked for, the engine that executes a recipe, the clock, and the writer."""
