"""A model before its first step, compared with a rule: what deviates, by how much, and why."""

from muscope.verdicts.audit.auditor import Audit, audit
from muscope.verdicts.audit.compare import Compared
from muscope.verdicts.audit.finding import Finding, Level, Quantity

__all__ = ["Audit", "Compared", "Finding", "Level", "Quantity", "audit"]
