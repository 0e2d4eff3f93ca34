"""The optimizers that the lab can run, with their update families.

Defaults are those of docs/facts.md, section 3. Weight decay is off everywhere, as a coordinate
check wants it (section 4); Adam's epsilon is tiny, so that it does not act.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from muscope.catalogue.options import Option, Options, with_defaults
from muscope.catalogue.registry import Registry
from muscope.theory import schedules
from muscope.vocabulary import DecayForm, Role, UpdateFamily


@dataclass(frozen=True, slots=True)
class OptimizerEntry:
    """An optimizer with its update family and the learning rate that forms start from.

    With a `fallback`, it steps hidden weights only and that optimizer steps the others, with the
    same learning rate and options: decided by the role of a weight, never by its size. One that
    `draws_labels` needs the gradient on labels from the model's own softmax now and then. One with
    `squared_epsilon` adds epsilon to products of gradients, the others to roots of them. One that
    a plugin describes says its own costs, of a weight of so many rows and columns: operations per
    update, numbers kept, numbers at hand (optimizer_costs).
    """

    name: str
    title: str
    help: str
    family: UpdateFamily
    learning_rate: float
    options: tuple[Option, ...]
    fallback: str | None = None
    decay: DecayForm = DecayForm.COUPLED
    draws_labels: bool = False
    squared_epsilon: bool = False
    cost_of: Callable[[int, int, Options], tuple[float, int, int]] | None = None

    def for_role(self, role: Role) -> str:
        """The name of the optimizer that steps weights of that role."""
        return self.name if self.fallback is None or role is Role.HIDDEN else self.fallback

    def squares_epsilon(self, role: Role) -> bool:
        """Whether epsilon of the weights of that role goes with the square of their gradients."""
        return OPTIMIZERS[self.for_role(role)].squared_epsilon

    def family_of(self, role: Role, options: Options | None = None) -> UpdateFamily:
        """The update family of the weights of that role, which an option `family` may choose."""
        entry = OPTIMIZERS[self.for_role(role)]
        chosen = options.get("family") if options and entry is self else None
        return UpdateFamily(str(chosen)) if chosen else entry.family


_ALMOST_ONE = 0.9999999


def _beta1(default: float) -> Option:
    return Option("beta1", default, "Decay of the first moment.", 0.0, _ALMOST_ONE)


def _beta2(default: float, help: str = "Decay of the second moment.") -> Option:
    return Option("beta2", default, help, 0.0, _ALMOST_ONE)


def _epsilon(default: float, help: str = "Added to the root of the second moment.") -> Option:
    return Option("epsilon", default, help, 1e-30, 1.0)


_COUPLED = Option("weight_decay", 0.0, "Decay, multiplied by the learning rate.", 0.0, 10.0)
_IN_GRADIENT = Option(
    "weight_decay",
    0.0,
    "Decay, added to the gradient (L2): no rule keeps it the same at every width.",
    0.0,
    10.0,
)
_INDEPENDENT = Option("weight_decay", 0.0, "Decay per step, whatever the learning rate.", 0.0, 1.0)

_ADAM = (_beta1(0.9), _beta2(0.95), _epsilon(1e-16))
_MUON = (
    Option("momentum", 0.95, "Decay of the momentum.", 0.0, _ALMOST_ONE),
    Option("nesterov", True, "Look one gradient ahead."),
    _beta1(0.9),
    _beta2(0.95),
    _epsilon(1e-16, "AdamW's, for the weights that are not hidden."),
    _COUPLED,
)

SCHEDULE = (
    Option(
        "schedule",
        "constant",
        "What every learning rate is multiplied by, step for step.",
        allowed=tuple(schedules.READS),
        silent=True,
    ),
    Option("warmup_steps", 0, "Steps in which the rates rise to 1.", 0, 100_000, silent=True),
    Option("final_fraction", 0.0, "Where linear, cosine and WSD end.", 0.0, 1.0, silent=True),
    Option("decay_fraction", 0.1, "Last part of the run, in which WSD decays.", 0, 1, silent=True),
    Option("half_life_steps", 5000.0, "Of WSD's exponential decay.", 1e-3, 1e6, silent=True),
)
"""The options of every optimizer's schedule (docs/schedules.md)."""

_SOAP_FAMILIES = tuple(
    family.value
    for family in (UpdateFamily.ORTHOGONAL, UpdateFamily.ORTHOGONAL_RMS, UpdateFamily.SIGN_LIKE)
)

OPTIMIZERS: Registry[OptimizerEntry] = Registry(
    (entry.name, replace(entry, options=(*entry.options, *SCHEDULE)))
    for entry in (
        OptimizerEntry(
            name="adamw",
            title="AdamW",
            help="Adam with decoupled weight decay (Loshchilov & Hutter 2019).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=3e-3,
            options=(*_ADAM, _COUPLED),
        ),
        OptimizerEntry(
            name="sgd",
            title="SGD",
            help="Stochastic gradient descent, with momentum if asked.",
            family=UpdateFamily.SGD_LIKE,
            learning_rate=0.1,
            options=(Option("momentum", 0.0, "Decay of the velocity.", 0.0, _ALMOST_ONE),),
        ),
        OptimizerEntry(
            name="adam",
            title="Adam",
            help="Adam with L2 weight decay, in the gradient (Kingma & Ba 2015).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=3e-3,
            options=(*_ADAM, _IN_GRADIENT),
            decay=DecayForm.L2,
        ),
        OptimizerEntry(
            name="adamw_independent",
            title="AdamW, independent decay",
            help="AdamW whose decay does not contain the learning rate (Loshchilov & Hutter 2019).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=3e-3,
            options=(*_ADAM, _INDEPENDENT),
            decay=DecayForm.INDEPENDENT,
        ),
        OptimizerEntry(
            name="lion",
            title="Lion",
            help="The sign of a momentum (Chen et al. 2023).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=1e-4,
            options=(_beta1(0.9), _beta2(0.99), _COUPLED),
        ),
        OptimizerEntry(
            name="adopt",
            title="ADOPT",
            help="Adam that divides by the past's second moment (Taniguchi et al. 2024).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=1e-3,
            options=(
                _beta1(0.9),
                _beta2(0.9999),
                _epsilon(1e-6, "Smallest root of the second moment."),
                Option("clip", True, "Keep the divided gradient of update t within t^(1/4)."),
                _COUPLED,
            ),
        ),
        OptimizerEntry(
            name="muon",
            title="Muon",
            help="Orthogonalized momentum (Jordan et al. 2024); AdamW for what is not hidden.",
            family=UpdateFamily.ORTHOGONAL,
            learning_rate=0.02,
            options=_MUON,
            fallback="adamw",
        ),
        OptimizerEntry(
            name="muon_match_rms",
            title="Muon, AdamW's size",
            help="Muon times 0.2 sqrt(max(fan_out, fan_in)) (Liu et al. 2025); AdamW for the rest.",
            family=UpdateFamily.ORTHOGONAL_RMS,
            learning_rate=3e-3,
            options=_MUON,
            fallback="adamw",
        ),
        OptimizerEntry(
            name="lamb",
            title="LAMB",
            help="Adam with updates as large as the weight (You et al. 2020).",
            family=UpdateFamily.TRUST_RATIO,
            learning_rate=1e-2,
            options=(_beta1(0.9), _beta2(0.999), _epsilon(1e-6), _COUPLED),
        ),
        OptimizerEntry(
            name="shampoo",
            title="Shampoo",
            help="Gradients whitened from both sides (Gupta et al. 2018); AdamW for the rest.",
            family=UpdateFamily.ORTHOGONAL,
            learning_rate=0.02,
            options=(
                _beta1(0.9),
                _beta2(0.95),
                _epsilon(1e-12, "Added to the statistics; AdamW's for the rest."),
                Option("sum_statistics", False, "Sum the statistics, as the original does."),
                _COUPLED,
            ),
            fallback="adamw",
            squared_epsilon=True,
        ),
        OptimizerEntry(
            name="soap",
            title="SOAP",
            help="Adam in Shampoo's eigenbasis (Vyas et al. 2024); AdamW for the rest.",
            family=UpdateFamily.ORTHOGONAL,
            learning_rate=3e-3,
            options=(
                _beta1(0.95),
                _beta2(0.95),
                _epsilon(1e-8),
                Option("precondition_frequency", 10, "Updates between bases.", 1, 100_000),
                Option(
                    "family",
                    UpdateFamily.ORTHOGONAL.value,
                    "Whose learning-rate rule: of the ideal basis (arXiv 2603.00541), of noise, "
                    "or of directions that the basis has not seen.",
                    allowed=_SOAP_FAMILIES,
                ),
                _COUPLED,
            ),
            fallback="adamw",
        ),
        OptimizerEntry(
            name="sophia",
            title="Sophia-G",
            help="A momentum over the diagonal of the Gauss-Newton matrix, clipped (Liu 2023).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=1e-3,
            options=(
                _beta1(0.965),
                _beta2(0.99, "Decay of the curvature, per estimate."),
                _epsilon(1e-15, "Smallest divisor of the momentum."),
                Option("gamma", 0.05, "Times the curvature: more of it clips less.", 1e-9, 1e9),
                Option("hessian_frequency", 10, "Updates between estimates.", 1, 100_000),
                _COUPLED,
            ),
            draws_labels=True,
        ),
        OptimizerEntry(
            name="adafactor",
            title="Adafactor",
            help="Factored second moment, rate relative to the weight (Shazeer & Stern 2018).",
            family=UpdateFamily.PARAMETER_SCALED,
            learning_rate=1e-2,
            options=(
                Option("beta2_decay", -0.8, "Power of the step: 1 - beta2 = t^this.", -1.0, 0.0),
                Option("smallest_scale", 1e-3, "Least RMS of a weight that counts.", 0.0, 1.0),
                _COUPLED,
            ),
        ),
    )
)


def schedule_complaint(options: Options, steps: int) -> str | None:
    """Why a run of that many steps cannot follow its schedule, as a sentence; None if it can."""
    return schedules.complaint(steps, with_defaults(options, SCHEDULE), with_defaults({}, SCHEDULE))
