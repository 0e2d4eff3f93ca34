"""What a study may be called, and how it names another study or a preset."""

import re
import unicodedata
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

_STUDY_ID = re.compile(r"[0-9A-Za-z_-]{1,16}", re.ASCII)
_PRESET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def clean_name(name: str) -> str:
    """The name as it is, if it may be shown; ValueError where it could deceive."""
    if unicodedata.normalize("NFC", name) != name:
        raise ValueError("the name must be in Unicode normal form C")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name):
        raise ValueError("the name must not hold control or bidirectional characters")
    if not name.strip():
        raise ValueError("the name must not be blank")
    return name


def _id_of_a_study(study_id: str) -> str:
    if not _STUDY_ID.fullmatch(study_id):
        raise ValueError(
            f"must be the id of a study, the end of its address, got {study_id[:60]!r}"
        )
    return study_id


def _name_of_a_preset(name: str) -> str:
    if not _PRESET_NAME.fullmatch(name):
        raise ValueError(
            "must be the name of a preset, lower-case letters, digits and dashes, as "
            f"`muscope presets list` has it, got {name[:60]!r}"
        )
    return name


StudyName: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=120), AfterValidator(clean_name)
]
StudyId: TypeAlias = Annotated[str, AfterValidator(_id_of_a_study)]
PresetName: TypeAlias = Annotated[str, AfterValidator(_name_of_a_preset)]
