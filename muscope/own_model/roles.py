"""The role of every parameter, from which of its dimensions grow with width (facts 0)."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muscope.own_model.facts import Built, Layout, Parameter
from muscope.vocabulary import Role

WEIGHT_ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT, Role.VECTOR, Role.SCALAR)
TIED = "tied"
"""In a roles file: embedding and readout in one tensor."""

Fans = tuple[int, int]
"""(fan_in, fan_out)."""

# Projections that one matrix holds: the name says it, the shape alone cannot (an MLP may be
# three times as wide).
_FUSED = (
    (re.compile(r"qkv|query_key_value|c_attn|in_proj"), 3, "query, key, value"),
    (re.compile(r"gate_up|up_gate|gate_proj_up|w12|wi_fused"), 2, "gate, up"),
    (re.compile(r"(^|[._])kv(_proj)?\b|key_value"), 2, "key, value"),
)
_GATES_OF = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}
_LOOKED_UP = re.compile(r"emb|pos|token|wte|wpe|cls", re.IGNORECASE)

# The place in a branch, for rules that distinguish; `.` and `_` separate words.
_PARTS = (
    (re.compile(r"attn|attention"), "attention"),
    (re.compile(r"down|fc2|w2\b|mlp\.c_proj|lin2|linear2|fc_out|ffn_out"), "mlp.down"),
    (re.compile(r"gate"), "mlp.gate"),
    (re.compile(r"mlp|ffn|feed_?forward|up_proj|\bup\b|fc1|w1\b|w3\b|linear1"), "mlp.up"),
)
_WRITES = re.compile(r"(attn|attention)\w*\.(o|c_proj|o_proj|out_proj|proj|wo|out|dense)\b")


@dataclass(frozen=True, slots=True)
class OwnRole:
    """What a parameter of a user's model is to the network, with its fans at every width.

    `output_fans` are those of a tied tensor as the readout. `pieces` are the logical sub-matrices
    of a fused projection; fan_out is that of the whole. `remark` says what was assumed or is worth
    knowing, `is_assumed` that a look is due.
    """

    name: str
    role: Role
    tied: bool
    fans: Mapping[int, Fans]
    output_fans: Mapping[int, Fans]
    part: str = ""
    in_branch: bool = False
    writes_stream: bool = False
    pieces: int = 1
    remark: str = ""
    is_assumed: bool = False

    @property
    def word(self) -> str:
        """The role as the roles file has it."""
        return TIED if self.tied else self.role.value


def infer(models: Sequence[Built], given: Mapping[str, str] | None = None) -> dict[str, OwnRole]:
    """The role of every parameter; `given` (name -> word) overrules what the shapes say.

    The models have the same parameters at different widths.
    """
    tables = [model.by_name() for model in models]
    widths = [model.width for model in models]
    roles = {}
    for name in tables[0]:
        sizes = dict(zip(widths, (table[name] for table in tables), strict=True))
        roles[name] = _role(name, sizes, (given or {}).get(name))
    return roles


def _role(name: str, sizes: dict[int, Parameter], word: str | None) -> OwnRole:
    some = next(iter(sizes.values()))
    grows = growing([parameter.shape for parameter in sizes.values()])
    role, tied, remark, is_assumed = _given(word, some) if word else _by_shape(some, grows)
    pieces, fused = _pieces(some, role)
    part = next((part for regex, part in _PARTS if regex.search(name)), "")
    return OwnRole(
        name=name,
        role=role,
        tied=tied,
        fans=_fans(sizes, role, grows),
        output_fans=_fans(sizes, Role.OUTPUT, grows) if tied else {},
        part=part if role is Role.HIDDEN else "",
        in_branch=bool(re.search(r"\.\d+\.|^\d+\.", name)),
        writes_stream=role is Role.HIDDEN and (part == "mlp.down" or bool(_WRITES.search(name))),
        pieces=pieces,
        remark="; ".join(filter(None, (remark, fused))),
        is_assumed=is_assumed,
    )


def _fans(sizes: dict[int, Parameter], role: Role, grows: tuple[bool, ...]) -> dict[int, Fans]:
    return {width: fans(p.shape, p.layout, role, grows) for width, p in sizes.items()}


def growing(shapes: Sequence[tuple[int, ...]]) -> tuple[bool, ...]:
    """Which dimensions are not the same everywhere."""
    return tuple(len(set(sizes)) > 1 for sizes in zip(*shapes, strict=True))


def _given(word: str, parameter: Parameter) -> tuple[Role, bool, str, bool]:
    role = Role.EMBEDDING if word == TIED else Role(word)
    if role not in (Role.VECTOR, Role.SCALAR) and len(parameter.shape) < 2:
        raise ValueError(f"{parameter.name} has less than two dimensions: it cannot be {word}")
    if word == TIED and not parameter.aliases:
        raise ValueError(f"{parameter.name} is not tied: no other name leads to the same tensor")
    return role, word == TIED, "given", False


def _by_shape(parameter: Parameter, grows: tuple[bool, ...]) -> tuple[Role, bool, str, bool]:
    """(role, tied, remark, is_assumed), without a word of the user's."""
    layouts = {parameter.layout, *parameter.alias_layouts}
    if Layout.TABLE in layouts and len(layouts) > 1 and any(grows):
        where = ", ".join(parameter.aliases)
        return Role.EMBEDDING, True, f"tied to {where}", False
    is_bare = parameter.layout is Layout.UNKNOWN
    if parameter.layout is Layout.VECTOR or (is_bare and _is_flat(parameter.shape)):
        return (Role.VECTOR if any(grows) else Role.SCALAR), False, "", False
    if is_bare:
        return _bare(parameter, grows)
    out, into = _out_and_in(parameter.layout, grows)
    if parameter.layout is Layout.TABLE:
        return (Role.EMBEDDING if out else Role.SCALAR), False, "", False
    return _ROLE_OF[out, into], False, "" if out or into else "does not grow with width", False


_ROLE_OF = {
    (True, True): Role.HIDDEN,
    (True, False): Role.EMBEDDING,
    (False, True): Role.OUTPUT,
    (False, False): Role.SCALAR,
}


def _bare(parameter: Parameter, grows: tuple[bool, ...]) -> tuple[Role, bool, str, bool]:
    """A parameter that no known module holds: taken as (…, fan_out, fan_in), unless looked up."""
    if not any(grows):
        return Role.SCALAR, False, "", False
    if sum(grows) > 1:
        return Role.HIDDEN, False, "taken as (fan_out, fan_in)", False
    added = parameter.shape[0] == 1 or bool(_LOOKED_UP.search(parameter.name))
    if grows[-1] and added:
        return Role.EMBEDDING, False, "taken as a table of vectors", True
    role = Role.OUTPUT if grows[-1] else Role.EMBEDDING
    return role, False, "taken as (fan_out, fan_in)", True


def _is_flat(shape: tuple[int, ...]) -> bool:
    """One dimension, or all but one of size 1."""
    return sum(size > 1 for size in shape) <= 1


def _out_and_in(layout: Layout, values: tuple[bool, ...]) -> tuple[bool, bool]:
    """(of fan_out, of fan_in), of a tuple with a value per dimension."""
    first, second = values[0], values[1]
    if layout in (Layout.TRANSPOSED, Layout.TRANSPOSED_CONVOLUTION):
        return second, first
    if layout is Layout.TABLE:
        return second, False
    return values[-2] if layout is Layout.UNKNOWN else first, (
        values[-1] if layout is Layout.UNKNOWN else second
    )


def fans(shape: tuple[int, ...], layout: Layout, role: Role, grows: tuple[bool, ...]) -> Fans:
    """(fan_in, fan_out) of a tensor in that role; of a lookup table fan_in is 1 (facts 0)."""
    match role:
        case Role.VECTOR | Role.SCALAR:
            return 1, max(shape, default=1)
        case Role.EMBEDDING | Role.OUTPUT:
            width = math.prod(s for s, grew in zip(shape, grows, strict=True) if grew)
            others = math.prod(shape) // width
            if role is Role.OUTPUT:
                return width, others
            return 1 if layout in (Layout.TABLE, Layout.UNKNOWN) else others, width
        case _:
            return _hidden_fans(shape, layout)


def _hidden_fans(shape: tuple[int, ...], layout: Layout) -> Fans:
    if layout in (Layout.TRANSPOSED, Layout.TRANSPOSED_CONVOLUTION):
        return shape[0] * math.prod(shape[2:]), shape[1]
    if layout is Layout.UNKNOWN:
        return shape[-1], shape[-2]
    return math.prod(shape[1:]), shape[0]


def _pieces(parameter: Parameter, role: Role) -> tuple[int, str]:
    """How many logical sub-matrices a tensor holds, and a remark."""
    if role is not Role.HIDDEN or parameter.layout not in (Layout.MATRIX, Layout.TRANSPOSED):
        return 1, ""
    if gates := _GATES_OF.get(parameter.module):
        return gates, f"fused: {gates} logical sub-matrices (gates)"
    fan_in, fan_out = _hidden_fans(parameter.shape, parameter.layout)
    leaf = ".".join(parameter.name.split(".")[-2:])
    for regex, pieces, what in _FUSED:
        if regex.search(leaf) and fan_out > fan_in:
            return pieces, f"fused: {pieces} logical sub-matrices ({what})"
    return 1, ""
