"""The LR transfer tab: the learning rates of every variant, and what was published of them."""

from sqlalchemy import Connection

from muscope import presets
from muscope.plots import lr_transfer, optima, published_rates
from muscope.reports import published_table, rate_table
from muscope.spec import StudySpec
from muscope.storage import verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.vocabulary import Axis
from muscope_server import urls
from muscope_server.contexts import PublishedOfPreset, RatesOfVariant
from muscope_server.study_page.asked import labels


def rates(conn: Connection, row: StudyRow, axis: Axis) -> tuple[RatesOfVariant, ...]:
    """Tables and charts of every variant over an axis."""
    found = {entry.variant: entry for entry in verdicts.of_transfer(conn, row.id)}
    return tuple(
        _of_variant(row, variant, label, found.get(variant), axis)
        for variant, label in labels(row).items()
    )


def _of_variant(
    row: StudyRow, variant: str, label: str, judged: TransferJudgement | None, axis: Axis
) -> RatesOfVariant:
    return RatesOfVariant(
        label=label,
        judged=judged,
        rows=rate_table.rows(judged) if judged else (),
        losses=rate_table.losses(judged) if judged else None,
        drifts=rate_table.drifts(judged) if judged else (),
        url=urls.rates_figure(row.id, variant, axis),
        summary=lr_transfer.summary(judged),
        optima_url=urls.rates_figure(row.id, variant, axis, what="lr-optima"),
        optima_summary=optima.summary(judged, axis),
    )


def published(row: StudyRow) -> PublishedOfPreset | None:
    """What the source of its preset prints, once for the whole study."""
    of_variants = (presets.published_rates(row.spec, key) for key in labels(row))
    found = next((one for one in of_variants if one), None)
    if found is None or not isinstance(row.spec, StudySpec):
        return None
    return PublishedOfPreset(
        table=published_table.table(found),
        summary=published_rates.summary(found),
        url=urls.published_figure(row.spec.preset or "") if found.losses else "",
    )
