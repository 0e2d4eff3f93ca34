"""Losses of sets of hyperparameters become a ranking, and rankings at two widths a judgement."""
