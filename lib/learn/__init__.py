"""Learning: fitting members, cross-fitted on the frozen folds."""
