"""The conformance table: a row per optimizer and original; a new optimizer adds one.

`python -m tests.lab.optimizers.table` prints the rows of docs/parity.md.
"""

from dataclasses import dataclass, field
from itertools import groupby

from muscope.catalogue import OptionValue
from tests.lab.optimizers import originals, twins
from tests.lab.optimizers.originals import Original, run
from tests.lab.optimizers.stepping import Member, normal, options_of, stepped

STEPS = 20
MEMBERS = (Member(1e-3, 1e-16, 0.0), Member(3e-2, 1e-3, 0.3))
ROUNDING = 1e-12  # float64, 20 steps of numbers around 1


@dataclass(frozen=True, slots=True)
class Case:
    """An optimizer of the catalogue, who it is compared with, and how close they must be."""

    name: str
    title: str
    original: Original
    options: dict[str, OptionValue] = field(default_factory=dict)
    members: tuple[Member, ...] = MEMBERS
    shape: tuple[int, int] = (5, 7)
    tolerance: float = ROUNDING

    @property
    def id(self) -> str:
        """A name for pytest."""
        given = "-".join(f"{name}={value}" for name, value in self.options.items())
        return "-".join(filter(None, (self.name, self.title, given)))


# torch's Newton-Schulz runs in bfloat16, 8 bits: 20 updates of up to 0.03 * 1.2 in size.
BFLOAT16 = 2e-2
# pytorch_optimizer takes SOAP's QR in float32; the bases turn by its rounding.
FLOAT32_QR = 1e-6
NO_DECAY = tuple(Member(m.learning_rate, m.epsilon, 0.0) for m in MEMBERS)
LARGE_EPSILON = (Member(1e-3, 1e-6, 0.0), Member(3e-2, 1e-3, 0.3))
# The rows' gradients of 1e-3 against Sophia's default gamma would all be clipped.
HALF_CLIPPED: dict[str, OptionValue] = {"gamma": 250.0, "hessian_frequency": 3}
TINY_EPSILON = tuple(Member(m.learning_rate, 1e-16, m.weight_decay) for m in MEMBERS)
FREQUENT: dict[str, OptionValue] = {"precondition_frequency": 3}

CASES = (
    Case("sgd", "torch.optim.SGD", run(originals.sgd), members=NO_DECAY),
    Case("sgd", "torch.optim.SGD", run(originals.sgd), {"momentum": 0.9}, NO_DECAY),
    Case("adam", "torch.optim.Adam", run(originals.adam)),
    Case("adamw", "torch.optim.AdamW", run(originals.adamw)),
    Case("adamw", "torch.optim.AdamW", run(originals.adamw), {"beta1": 0.5}),
    Case("adamw_independent", "torch.optim.AdamW", run(originals.adamw_independent)),
    Case("lion", "pytorch_optimizer.Lion", run(originals.lion)),
    Case(
        "adopt", "pytorch_optimizer.ADOPT", run(originals.adopt), {"clip": False}, members=NO_DECAY
    ),
    Case("adopt", "twin of the paper", twins.adopt),
    Case("adopt", "twin of the paper", twins.adopt, {"clip": False, "beta2": 0.9}),
    Case("muon", "torch.optim.Muon", run(originals.muon), tolerance=BFLOAT16),
    Case("muon", "twin of the paper", twins.muon),
    Case("muon", "twin of the paper", twins.muon, {"nesterov": False}, shape=(7, 5)),
    Case("muon_match_rms", "torch.optim.Muon", run(originals.muon_match_rms), tolerance=BFLOAT16),
    Case("muon_match_rms", "twin of the paper", twins.muon_match_rms),
    Case("lamb", "pytorch_optimizer.Lamb", run(originals.lamb), members=MEMBERS[:1]),
    Case("lamb", "twin of the paper", twins.lamb),
    Case(
        "shampoo",
        "pytorch_optimizer.Shampoo",
        run(originals.shampoo),
        {"sum_statistics": True, "beta1": 0.0},
        LARGE_EPSILON,
        tolerance=1e-9,  # two roots of matrices whose eigenvalues differ by 1e7
    ),
    Case("shampoo", "twin of the paper", twins.shampoo, members=LARGE_EPSILON, tolerance=1e-9),
    Case(
        "soap",
        "pytorch_optimizer.SOAP",
        run(originals.soap),
        FREQUENT,
        shape=(6, 6),
        tolerance=FLOAT32_QR,
    ),
    Case("soap", "twin of the paper", twins.soap, FREQUENT, shape=(6, 6), tolerance=1e-9),
    Case("sophia", "twin of the paper", twins.sophia),
    Case("sophia", "twin of the paper", twins.sophia, HALF_CLIPPED),
    Case("sophia", "pytorch_optimizer.SophiaH, given curvature", originals.sophia, HALF_CLIPPED),
    Case(
        "sophia",
        "twin of the authors' code, 2fc52f2",
        twins.sophia_code,
        HALF_CLIPPED,
        TINY_EPSILON,
        tolerance=1e-11,  # its epsilon of 1e-15 is added, beside momenta of 1e-4
    ),
    Case(
        "sophia",
        "twin of the authors' code, 01af183",
        twins.sophia_first_code,
        HALF_CLIPPED,
        TINY_EPSILON,
        tolerance=1e-7,  # the same beside curvatures of 1e-8
    ),
    Case("adafactor", "torch.optim.Adafactor", run(originals.adafactor)),
)


def largest_difference(case: Case) -> float:
    """Of any entry of the weight after 20 steps, the members stepped as one stack."""
    options = options_of(case.name, case.options)
    start = normal(len(case.members), *case.shape)
    shape = (len(case.members), *case.shape)
    gradients = [1e-3 * normal(*shape, seed=step) for step in range(1, STEPS + 1)]
    ours = stepped(case.name, options, case.members, start, gradients)
    return max(
        float(
            (case.original(start[i], [g[i] for g in gradients], member, options) - ours[i])
            .abs()
            .max()
        )
        for i, member in enumerate(case.members)
    )


if __name__ == "__main__":
    for (name, title), cases in groupby(CASES, key=lambda case: (case.name, case.title)):
        print(f"| {name} | {title} | {max(map(largest_difference, cases)):.0e} |")  # noqa: T201
