"""The facts of the contest: where files are, tables, row ids, class list, scores, folds, data checks, the miniature."""
