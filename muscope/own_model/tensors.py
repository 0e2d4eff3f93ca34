"""What a forward of a user's model makes: the role of every activation, and what is judged."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from muscope.own_model.facts import Built, Layout
from muscope.own_model.roles import OwnRole, growing
from muscope.vocabulary import Role

IGNORE = "ignore"
"""In a roles file: show this activation, but do not judge it."""

ACTIVATION_WORDS = (
    Role.EMBEDDING.value,
    Role.HIDDEN.value,
    Role.OUTPUT.value,
    Role.RESIDUAL.value,
    Role.ATTENTION_LOGITS.value,
    IGNORE,
)


class Face(StrEnum):
    """How a tensor was met: as what a module gave, and with the number right behind it, or else."""

    MODULE = "module"
    SCALED = "scaled"
    BLOCK = "block"
    ATTENTION = "attention"
    LOSS_INPUT = "loss input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Met:
    """A tensor of one forward: what gave it, its shape, and what a number behind it was.

    `module` is the name of the module that gave it. `head_size` is that of queries and keys.
    """

    name: str
    face: Face
    shape: tuple[int, ...]
    source: str
    module: str
    factor: float = 1.0
    head_size: int | None = None
    is_zero: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """A forward at one width: all that was met, in order.

    `before_loss` are modules with nothing but element-wise operations between them and the loss,
    `reaching_loss` those whose numbers arrive there unchanged; `into_scores` those that make
    queries or keys. `calls` are modules that were called more often than is recorded.
    """

    width: int
    met: tuple[Met, ...]
    before_loss: frozenset[str] = frozenset()
    reaching_loss: frozenset[str] = frozenset()
    into_scores: frozenset[str] = frozenset()
    calls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnTensor:
    """An activation of a user's model, at every width that was looked at.

    `name` is what verdicts call it, (`met`, `face`) where it is met. One that is not judged is
    shown, and `remark` says why. `aligns_slowly`: nobody knows how orthogonal its inputs are, so
    that every change between embedding and readout may align as slowly as single tokens (ADR 16).
    """

    name: str
    met: str
    face: Face
    role: Role
    source: str
    shapes: Mapping[int, tuple[int, ...]]
    is_judged: bool = True
    remark: str = ""
    aligns_slowly: bool = False


@dataclass(frozen=True, slots=True)
class Activations:
    """The activations of a model, and what is worth saying of them."""

    tensors: tuple[OwnTensor, ...]
    notes: tuple[str, ...] = ()
    heads_grow: bool = False
    zero_output: bool = False

    @property
    def judged(self) -> tuple[OwnTensor, ...]:
        """Those that decide."""
        return tuple(tensor for tensor in self.tensors if tensor.is_judged)


def activations(
    sights: Sequence[Sight],
    roles: Mapping[str, OwnRole],
    built: Built,
    given: Mapping[str, str] | None = None,
) -> Activations:
    """Roles of what forwards at several widths met, in the order of the first.

    A readout is judged by what reaches the loss: a multiplier behind it is part of it. `given`
    (name -> word) overrules.
    """
    narrow = _at_every_width(sights)
    makers = _makers(roles, built)
    end = _end(narrow)
    tensors: list[OwnTensor] = []
    for key, met in narrow.items():
        if met.face in (Face.LOSS_INPUT, Face.OUTPUT) and met.face is not end:
            continue
        if met.face is Face.OUTPUT and _is_only_a_name(sights[0], narrow):
            continue
        if met.face is Face.LOSS_INPUT and _same_as_module(sights[0], narrow):
            continue
        tensor = _tensor(key, met, sights, makers)
        if tensor is not None:
            tensors.append(_as_given(tensor, given or {}))
    heads = {size for sight in sights for size in (m.head_size for m in sight.met) if size}
    return Activations(
        tensors=tuple(tensors),
        notes=tuple(_notes(sights[0], tensors)),
        heads_grow=len(heads) > 1,
        zero_output=any(met.is_zero for met in narrow.values() if met.face is end),
    )


_Key = tuple[str, Face]
_SMALL = (Role.VECTOR, Role.SCALAR)
ALIGN_SLOWLY = (Role.HIDDEN, Role.RESIDUAL, Role.ATTENTION_LOGITS)
"""Of a model that is not ours nobody knows how orthogonal the inputs of these are."""


def _at_every_width(sights: Sequence[Sight]) -> dict[_Key, Met]:
    """Of the first width, what the others have too."""
    tables = [{(met.name, met.face): met for met in sight.met} for sight in sights]
    common = set(tables[0]).intersection(*tables[1:])
    return {key: met for key, met in tables[0].items() if key in common}


def _end(met: Mapping[_Key, Met]) -> Face:
    """What is taken as reaching the loss: the input of a loss function, else the output."""
    faces = {face for _, face in met}
    return Face.LOSS_INPUT if Face.LOSS_INPUT in faces else Face.OUTPUT


def _same_as_module(sight: Sight, met: Mapping[_Key, Met]) -> bool:
    """Whether the only input of the loss is the untouched output of a module that is recorded."""
    ends = [key for key in met if key[1] is Face.LOSS_INPUT]
    return len(ends) == 1 and any((name, Face.MODULE) in met for name in sight.reaching_loss)


def _is_only_a_name(sight: Sight, met: Mapping[_Key, Met]) -> bool:
    return any((name, Face.MODULE) in met for name in sight.reaching_loss)


def _makers(roles: Mapping[str, OwnRole], built: Built) -> dict[str, Role]:
    """By the name of the module: the role of its first weight that is no vector."""
    found: dict[str, Role] = {}
    for parameter in built.parameters:
        role = roles[parameter.name]
        aliases = zip(parameter.aliases, parameter.alias_layouts, strict=True)
        for name, layout in ((parameter.name, parameter.layout), *aliases):
            module = name.rpartition(".")[0]
            of = Role.OUTPUT if role.tied and layout is not Layout.TABLE else role.role
            if found.get(module, Role.VECTOR) in _SMALL:
                found[module] = of
    return found


def _tensor(
    key: _Key,
    met: Met,
    sights: Sequence[Sight],
    makers: Mapping[str, Role],
) -> OwnTensor | None:
    shapes = {
        sight.width: next(m.shape for m in sight.met if (m.name, m.face) == key) for sight in sights
    }
    grows = _grows(list(shapes.values()))
    maker = makers.get(met.module) if met.face in (Face.MODULE, Face.SCALED) else None
    role = _role(met, maker, grows=grows)
    factors = {
        m.factor for sight in sights for m in sight.met if (m.name, m.face) == (key[0], Face.SCALED)
    }
    judged, remark = _judged(met, sights[0], factors, grows=grows)
    if met.face is Face.SCALED and not judged:
        return None
    has_twin = met.face is Face.MODULE and not judged and len(factors) > 1
    name = f"{met.name} (raw)" if has_twin else met.name
    return OwnTensor(
        name=name,
        met=met.name,
        face=met.face,
        role=role,
        source=met.source,
        shapes=shapes,
        is_judged=judged,
        remark=remark,
        aligns_slowly=role in ALIGN_SLOWLY,
    )


def _grows(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether any dimension does; a tensor whose number of dimensions changes follows no rule."""
    same = len({len(shape) for shape in shapes}) == 1
    return same and any(growing(shapes))


def _role(met: Met, maker: Role | None, *, grows: bool) -> Role:
    match met.face:
        case Face.ATTENTION:
            return Role.ATTENTION_LOGITS
        case Face.LOSS_INPUT | Face.OUTPUT:
            return Role.HIDDEN if grows else Role.OUTPUT
        case Face.BLOCK:
            return Role.RESIDUAL if grows else Role.OUTPUT
        case _:
            pass
    if maker is None or maker in _SMALL:
        return Role.HIDDEN if grows else Role.OUTPUT
    return maker


def _judged(met: Met, sight: Sight, factors: Collection[float], *, grows: bool) -> tuple[bool, str]:
    """(whether it decides, why not or what is worth knowing).

    `factors` are what it is multiplied by right behind its module, over the widths.
    """
    if met.face in (Face.MODULE, Face.SCALED):
        return _judged_of_module(met, sight, varies=len(factors) > 1, grows=grows)
    return True, "what reaches the loss" if met.face is Face.LOSS_INPUT else ""


def _judged_of_module(met: Met, sight: Sight, *, varies: bool, grows: bool) -> tuple[bool, str]:
    reaches = met.name in sight.reaching_loss
    # what grows is no readout: products that nobody knows are between it and the loss
    if met.name in sight.before_loss and not reaches and not grows:
        return False, "changed before it reaches the loss: judged there"
    # q * scale is half of the scale of q.k: attention logits show the whole of it
    if not varies or met.name in sight.into_scores:
        return met.face is Face.MODULE, "reaches the loss" if reaches else ""
    if met.face is Face.SCALED:
        return True, f"with the multiplier behind it, {met.factor:.4g} here"
    return False, "a multiplier that depends on width follows: judged with it"


def _as_given(tensor: OwnTensor, given: Mapping[str, str]) -> OwnTensor:
    word = given.get(tensor.name)
    if word is None:
        return tensor
    ignored = word == IGNORE
    return OwnTensor(
        name=tensor.name,
        met=tensor.met,
        face=tensor.face,
        role=tensor.role if ignored else Role(word),
        source=tensor.source,
        shapes=tensor.shapes,
        is_judged=not ignored,
        remark="given",
        aligns_slowly=tensor.aligns_slowly,
    )


def _notes(sight: Sight, tensors: Sequence[OwnTensor]) -> list[str]:
    often = [f"{name} ({count} times)" for name, count in sight.calls.items()]
    notes = []
    if often:
        notes.append(f"called again and again, the first 8 calls are recorded: {', '.join(often)}")
    if not any(tensor.role is Role.ATTENTION_LOGITS for tensor in tensors) and sight.into_scores:
        notes.append("attention was seen, but not its logits")
    if not any(tensor.role is Role.OUTPUT and tensor.is_judged for tensor in tensors):
        notes.append("nothing was seen that reaches the loss, so no readout is judged")
    return notes
