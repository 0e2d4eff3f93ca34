"""Exponents that theory expects, measured by the lab: the tables of docs/facts.md, section 5."""
