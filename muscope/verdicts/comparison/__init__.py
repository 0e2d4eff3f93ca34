"""Variants beside each other: the same data and seeds, and what differs for sure."""
