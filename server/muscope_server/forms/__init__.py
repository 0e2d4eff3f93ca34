"""The form of a new study: text in, a spec or errors beside their fields out.

Nothing typed is lost: the form keeps every value as text, and errors are keyed by field name.
"""

from muscope_server.forms.complaints import MOST_COMPLAINTS, FormErrors
from muscope_server.forms.form import BATCHES, RECORDS, Form
from muscope_server.forms.hints import hints
from muscope_server.forms.opening import blank, filled
from muscope_server.forms.reading import parse
from muscope_server.forms.values import from_spec

__all__ = [
    "BATCHES",
    "MOST_COMPLAINTS",
    "RECORDS",
    "Form",
    "FormErrors",
    "blank",
    "filled",
    "from_spec",
    "hints",
    "parse",
]
