"""Every fault as docs/diagnosis.md has it: what it is, what it shifts, where it is visible."""

import math
from collections.abc import Iterator

from muscope.catalogue import MODELS, OptionValue, broken, rules
from muscope.catalogue.rules import Choice, Size
from muscope.theory.faults import FAULTS

_LETTERS = {
    "multiplier": "A",
    "init_std": "B",
    "learning_rate_factor": "C",
    "weight_decay_factor": "λ",
    "epsilon_factor": "ε",
}
_OPTIONS: dict[str, OptionValue] = {"heads": 2, "biases": True, "fused_projections": True}
_BASE, _WIDE, _DEEP = Size(64, 2, 64, 2), Size(256, 2, 64, 2), Size(64, 8, 64, 2)
_TABLES: tuple[tuple[str, dict[str, OptionValue]], ...] = (
    ("mup", {}),
    ("mup", {"form": "table3"}),
    ("depth_mup", {}),
    ("complete_p", {}),
)


def lines() -> Iterator[str]:
    """The table of the library; shifts are those where the fault first applies."""
    yield "| fault | what is wrong | shifts | visible in | fix |"
    yield "|---|---|---|---|---|"
    for name, fault in FAULTS.items():
        places = ", ".join(place.value for place in fault.visible)
        yield f"| `{name}` | {fault.title} | {_shifts(name)} | {places} | {fault.fix} |"


def _shifts(fault: str) -> str:
    """Powers of the width, or of the depth, by which broken and healthy numbers differ."""
    model = MODELS["gpt"].complete(_OPTIONS)
    for name, options in _TABLES:
        for optimizer in ("adamw", "sgd", "muon"):
            choice = Choice(name, {"zero_readout": False, **options}, fault)
            if fault in broken.applying(choice.healthy, optimizer, "gpt", model):
                wide, deep = _powers(choice, optimizer, _WIDE), _powers(choice, optimizer, _DEEP)
                found = [*(f"{one}".replace("x^", "m^") for one in wide)]
                found += [f"{one}".replace("x^", "r^") for one in deep]
                words = [optimizer, *map(str, options.values()), *([name] * (name != "mup"))]
                where = "" if words == ["adamw"] else f" ({', '.join(words)})"
                return f"{'; '.join(found) or 'constants'}{where}"
    return "–"


def _powers(choice: Choice, optimizer: str, size: Size) -> Iterator[str]:
    """`x` stands for what is larger at this size than at the base's."""
    model = MODELS["gpt"].complete(_OPTIONS)
    by_role: dict[str, dict[str, float]] = {}
    there, here = (_ratios(choice, optimizer, one) for one in (size, _BASE))
    for (role, number), ratio in there.items():
        power = round(math.log(ratio / here[role, number], 4), 3)
        if power:
            by_role.setdefault(role, {})[number] = power
    for role, numbers in by_role.items():
        yield f"{role} " + ", ".join(f"{n}·x^{p:g}" for n, p in numbers.items())
    for what, scale in (("q·k", rules.attention_scale), ("branches", rules.residual_multiplier)):
        broken_scale, healthy = (scale(one, "gpt", model, size) for one in (choice, choice.healthy))
        if not math.isclose(broken_scale, healthy):
            yield f"{what} ·x^{math.log(broken_scale / healthy, 4):g}"


def _ratios(choice: Choice, optimizer: str, size: Size) -> dict[tuple[str, str], float]:
    dims = rules.dimensions("gpt", MODELS["gpt"].complete(_OPTIONS), size)
    wrong = rules.weight_rules(choice, optimizer, dims)
    right = rules.weight_rules(choice.healthy, optimizer, dims)
    return {
        (dims[name].role.value, letter): getattr(rule, number) / getattr(right[name], number)
        for name, rule in wrong.items()
        for number, letter in _LETTERS.items()
        if getattr(right[name], number)
    }
