"""What is known of a user's own model before any step: plain facts, roles, and the roles file."""

from muscope.own_model.facts import Built, Layout, Parameter, Stepping, Values
from muscope.own_model.roles import OwnRole, infer

__all__ = ["Built", "Layout", "OwnRole", "Parameter", "Stepping", "Values", "infer"]
