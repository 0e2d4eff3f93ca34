"""The fault library: what people get wrong, one thing at a time, as arithmetic on the rules."""

from muscope.theory.faults.fault import Fault, Visibility, Weight
from muscope.theory.faults.rates import RATES
from muscope.theory.faults.starts import STARTS
from muscope.theory.faults.whole import WHOLE

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*STARTS, *RATES, *WHOLE)}
"""Every fault by name."""

__all__ = ["FAULTS", "Fault", "Visibility", "Weight"]
