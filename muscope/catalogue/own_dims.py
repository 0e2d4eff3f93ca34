"""The dimensions that a rule needs of a parameter of a user's model."""

from muscope.catalogue.rules import Size
from muscope.own_model.roles import OwnRole
from muscope.theory.rule import WeightDims
from muscope.vocabulary import Role


def dims(role: OwnRole, column: Role, size: Size) -> WeightDims:
    """One logical sub-matrix; `column` is the role asked for, of a tied tensor either of two."""
    fans = role.fans if column is role.role else role.output_fans
    (fan_in, rows), (base_in, base_rows) = fans[size.width], fans[size.base_width]
    return WeightDims(
        role=column,
        fan_in=fan_in,
        fan_out=rows // role.pieces,
        base_fan_in=base_in,
        base_fan_out=base_rows // role.pieces,
        depth=size.depth,
        base_depth=size.base_depth,
        in_branch=role.in_branch,
        writes_stream=role.writes_stream,
        part=role.part,
        fused_fan_out=rows if role.pieces > 1 else 0,
    )
