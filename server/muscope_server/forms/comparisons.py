"""What is wrong between fields, said of whatever could be read.

A spec compares its fields only when each is right by itself. A person wants to hear everything at
once, so that this says the same a little earlier.
"""

from collections.abc import Mapping
from typing import Any

from muscope import catalogue
from muscope_server.forms.complaints import Complaints


def check(data: Mapping[str, Any], complaints: Complaints) -> None:
    """Compare bases with grids, and widths with what each model can be."""
    _check_bases(data, complaints)
    for arm in data["arms"]:
        model = arm["model"]
        entry = catalogue.MODELS[model["name"]]
        if _are_right(model["options"], entry):
            _check_widths(data, entry, model["options"], complaints)


def _are_right(options: Mapping[str, Any], entry: catalogue.ModelEntry) -> bool:
    """Each by itself; what is wrong with one of them the spec says."""
    try:
        catalogue.complete_options(options, entry.options)
    except ValueError:
        return False
    return None not in options.values()


def _check_bases(data: Mapping[str, Any], complaints: Complaints) -> None:
    for base, grid in (("base_width", "widths"), ("base_depth", "depths")):
        largest = max(filter(None, data[grid]), default=None)
        if data.get(base) and largest and data[base] > largest:
            complaints.add(base, f"larger than every one of the {grid} (up to {largest})", "")


def _check_widths(
    data: Mapping[str, Any],
    entry: catalogue.ModelEntry,
    options: dict[str, Any],
    complaints: Complaints,
) -> None:
    for width in filter(None, [*data["widths"], data.get("base_width")]):
        complaint = entry.check(width, options)
        if complaint:
            name = "widths" if width in data["widths"] else "base_width"
            complaints.add(name, f"{entry.title}: {complaint}", "")
            _mark_options(entry, complaint, complaints)


def _mark_options(entry: catalogue.ModelEntry, complaint: str, complaints: Complaints) -> None:
    """A complaint about widths that speaks of an option is shown beside that one too."""
    for option in entry.options:
        if option.name.replace("_", " ") in complaint:
            complaints.add(f"model.{entry.name}.option.{option.name}", complaint)
