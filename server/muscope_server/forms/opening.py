"""The form before anybody has typed: a small study, or one that is cloned."""

from muscope.presets import demo
from muscope.reports.html import spec_yaml
from muscope.spec import StudySpec
from muscope_server.forms.complaints import FormErrors
from muscope_server.forms.form import Form
from muscope_server.forms.reading import parse
from muscope_server.forms.values import from_spec


def blank() -> Form:
    """The form as it opens: one small transformer in SP and µP, ready to submit."""
    spec = demo.demo()
    first = spec.model_copy(update={"name": "Coordinate check", "arms": spec.arms[:1]})
    return filled(first)


def filled(spec: StudySpec) -> Form:
    """The form that describes this study; as YAML where the fields cannot say it."""
    values = from_spec(spec)
    try:
        same = parse(values) == spec
    except FormErrors:
        same = False
    return Form(values if same else values | {"yaml": spec_yaml(spec)})
