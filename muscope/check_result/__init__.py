"""What a check of a user's own model gives: its verdict, and every form in which it is read."""

from muscope.check_result.result import CheckResult

__all__ = ["CheckResult"]
