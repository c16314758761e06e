"""The judge: the one metric, who has seen what, intervals, and the ledger of runs."""
