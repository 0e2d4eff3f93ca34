"""A judged study in a file: what `muscope check --json` prints."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from muscope.recipe.making import AnyVerdict
from muscope.recipe.types import NotARecipe
from muscope.spec import StudySpec, stored
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict


def read(path: Path) -> tuple[StudySpec, list[AnyVerdict]]:
    """(spec, verdicts) of a result file; NotARecipe where it is something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        spec = stored(json.dumps(data["study"]))
        rows = [*data["verdicts"], *data.get("transfers", [])]
        return spec, list(map(_verdict, rows))
    except OSError as error:
        raise NotARecipe(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise NotARecipe(
            f"{path} is no result of a study: write one with `muscope check … --json > {path.name}`"
        ) from error


def _verdict(row: dict[str, Any]) -> AnyVerdict:
    said = json.dumps({name: value for name, value in row.items() if name != "sentence"})
    if "optima" in row:
        return TransferJudgement.model_validate_json(said)
    if "sets" in row:
        return SearchJudgement.model_validate_json(said)
    return VariantVerdict.model_validate_json(said)
