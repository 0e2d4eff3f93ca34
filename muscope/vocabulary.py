"""The words of the field, spelled once: the same in code, column, URL, button and log."""

from enum import StrEnum


class Role(StrEnum):
    """What a tensor is to the network; for weights, decided by which dimensions grow with width.

    The first five are roles of weights (Yang et al. 2022, Appendix B). Activations carry the role
    of the weight that makes them, or one of the last two.
    """

    EMBEDDING = "embedding"
    HIDDEN = "hidden"
    OUTPUT = "output"
    VECTOR = "vector"
    SCALAR = "scalar"
    ATTENTION_LOGITS = "attention_logits"
    RESIDUAL = "residual"


class UpdateFamily(StrEnum):
    """How the size of an optimizer's raw update depends on the gradient and on the weight."""

    SGD_LIKE = "sgd_like"
    SIGN_LIKE = "sign_like"
    ORTHOGONAL = "orthogonal"
    ORTHOGONAL_RMS = "orthogonal_rms"
    TRUST_RATIO = "trust_ratio"
    PARAMETER_SCALED = "parameter_scaled"


class DecayForm(StrEnum):
    """How an optimizer applies weight decay."""

    L2 = "l2"
    COUPLED = "coupled"
    INDEPENDENT = "independent"


class TensorKind(StrEnum):
    """Which of a tensor's four faces was measured."""

    ACTIVATION = "activation"
    WEIGHT = "weight"
    GRADIENT = "gradient"
    UPDATE = "update"


class Statistic(StrEnum):
    """One number per tensor and step; what each is of which kind: docs/statistics.md.

    A column of the database and of the CSV has the same name. The order is that of
    `records.Values`: append, never reorder.
    """

    L1 = "l1"
    RMS = "rms"
    CHANGE = "change"
    MEAN = "mean"
    MAX_ABS = "max_abs"
    CONTRIBUTION = "contribution"
    SPECTRAL = "spectral"
    STABLE_RANK = "stable_rank"
    ALIGN_W = "align_w"
    ALIGN_X = "align_x"
    ALIGN_WX = "align_wx"
    UNDERFLOW = "underflow"
    OVERFLOW = "overflow"


class CellVerdict(StrEnum):
    """The judgement of one slope: one tensor, one step, one statistic."""

    FLAT = "flat"
    GROWS = "grows"
    SHRINKS = "shrinks"
    INCONCLUSIVE = "inconclusive"
    ZERO = "zero"
    DIVERGED = "diverged"


class Axis(StrEnum):
    """What a slope is taken over.

    A step is a moment of a training, of which a coordinate check takes slopes; the number of steps
    is its length, over which a learning rate may transfer.
    """

    WIDTH = "width"
    DEPTH = "depth"
    BATCH = "batch_size"
    STEP = "step"
    SEQUENCE = "sequence_length"
    STEPS = "steps"


class TransferVerdict(StrEnum):
    """The judgement of one variant's best learning rate over the places of its axis."""

    TRANSFERS = "transfers"
    DRIFTS = "drifts"
    INCONCLUSIVE = "inconclusive"
    NOT_BRACKETED = "not_bracketed"


class SearchVerdict(StrEnum):
    """Whether the best set of hyperparameters of a small width is as good at a larger one."""

    HOLDS = "holds"
    LOSES = "loses"
    INCONCLUSIVE = "inconclusive"
    NONE_STEADY = "none_steady"


class StudyIntent(StrEnum):
    """What the user wants of a study; its state is derived from its runs."""

    OPEN = "open"
    CANCELLED = "cancelled"
    DELETED = "deleted"


class StudyState(StrEnum):
    """Derived from the runs of a study, never stored."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BundleState(StrEnum):
    """Where a bundle stands; `running` exactly while it holds a lease."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunState(StrEnum):
    """Where a run stands. `diverged` is a result; `failed` is reserved for faults.

    `skipped` was stopped early by the rule of an adaptive search, which its note names.
    """

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended; terminal states never change."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class AttemptState(StrEnum):
    """Where one execution of a bundle stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"
    STALLED = "stalled"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


def kind_words(kind: str) -> str:
    """What a study of a kind is about, for people."""
    return "learning rates" if kind == "lr_transfer" else kind.replace("_", " ")
