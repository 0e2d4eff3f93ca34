"""Judgement becomes plain info, and info becomes a figure."""
