"""Losses at several learning rates become optima, and optima over widths become a judgement."""
