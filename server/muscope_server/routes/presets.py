"""The published experiments as JSON: what each asks, and its studies at a size."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from muscope.presets import PRESETS, SIZES, Preset, Size, published
from muscope.reports.html import spec_yaml
from muscope.spec import StudySpec
from muscope_server import estimates, experiments, schemas
from muscope_server.deps import DatabaseDep, SettingsDep
from muscope_server.parameters import refuse_unknown

router = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown)])


class PresetView(BaseModel):
    """A published experiment, its claim and its source."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    name: str
    title: str
    question: str
    source: str
    claim: str
    published: str | None
    row: str
    needs: str
    notes: tuple[str, ...]


class PresetList(BaseModel):
    """Every preset, and the sizes that each has."""

    model_config = ConfigDict(frozen=True)

    presets: tuple[PresetView, ...]
    sizes: tuple[Size, ...] = SIZES


class PresetStudy(BaseModel):
    """A study of a preset as it can be submitted, and what it costs."""

    model_config = ConfigDict(frozen=True)

    study: StudySpec
    yaml: str
    plan: schemas.PlanView


class FullPreset(PresetView):
    """A preset with its studies at one size, and the rows of its published figures."""

    size: Size
    studies: tuple[PresetStudy, ...]
    figures: tuple[dict[str, str], ...]


@router.get("/presets")
def list_presets() -> PresetList:
    """The published experiments that can be run."""
    return PresetList(presets=tuple(map(PresetView.model_validate, PRESETS.values())))


@router.get("/presets/{name}")
def read_preset(
    name: str,
    *,
    database: DatabaseDep,
    settings: SettingsDep,
    size: Annotated[Size, Query()] = "laptop",
) -> FullPreset:
    """One of them with its studies at a size, each with its plan."""
    preset = experiments.preset(name)
    planned = [(spec, experiments.planned(spec, settings)) for spec in preset.studies(size)]
    return FullPreset(
        **PresetView.model_validate(preset).model_dump(),
        size=size,
        studies=tuple(
            PresetStudy(
                study=spec,
                yaml=spec_yaml(spec),
                plan=schemas.PlanView.of(plan, estimates.estimate(database, plan, spec)),
            )
            for spec, plan in planned
        ),
        figures=tuple(_figures(preset)),
    )


def _figures(preset: Preset) -> list[dict[str, str]]:
    """What was published; of a table with many experiments, the rows of this one."""
    rows = published.table(preset.published) if preset.published else ()
    return [row for row in rows if not preset.row or row["ablation"] == preset.row]
