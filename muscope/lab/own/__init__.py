"""A user's own model trained and measured as it is: hooks outside, no line of it changed."""
