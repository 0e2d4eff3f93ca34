"""nanotron's MLP experiment: sizes of activations across widths, depths and batch sizes.

8 to 32 layers, widths 128 to 8192, batches of 32 to 2048, all on a logarithmic scale, CIFAR, mean
squared error, 4 epochs, Adam (nanotron, examples/mup/README.md).
"""

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import parametrization
from muscope.spec import Arm, ModelSpec, OptimizerSpec, StudySpec

RATE = 1e-3
CIFAR_IMAGES, EPOCHS = 50_000, 4
BATCH_SIZES = tuple(2**power for power in range(5, 12))
"""32 to 2048."""


def studies(size: Size) -> tuple[StudySpec, ...]:
    """One study of several batch sizes; of four epochs, one for each as their steps differ."""
    match size:
        case "smoke":
            return (_study(size, "digits", (16, 32), (1, 2), (8,), steps=2, seeds=2),)
        case "laptop":
            grid = ((64, 128, 256, 512), (8, 16), (32, 128))
            return (_study(size, "digits", *grid, steps=30, seeds=3),)
        case "paper":
            widths = tuple(2**power for power in range(7, 14))
            return tuple(
                _study(
                    size, "cifar10", widths, (8, 16, 32), (batch_size,),
                    steps=EPOCHS * CIFAR_IMAGES // batch_size, seeds=3,
                )
                for batch_size in BATCH_SIZES
            )  # fmt: skip


def _study(
    size: Size,
    dataset: str,
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    *,
    steps: int,
    seeds: int,
) -> StudySpec:
    several = len(batch_sizes) > 1
    batch = "" if several else f", batch {batch_sizes[0]}"
    model = ModelSpec(
        name="mlp", batch_size=batch_sizes[0], options={"loss": "mse", "dataset": dataset}
    )
    return StudySpec(
        name=f"nanotron's MLP{batch} ({size})",
        arms=(Arm(model=model, optimizers=(OptimizerSpec(name="adam", learning_rate=RATE),)),),
        parametrizations=tuple(map(parametrization, ("sp", "spectral", "nanotron"))),
        widths=widths,
        depths=depths,
        seeds=seeds,
        steps=steps,
        batches="fresh",
        batch_sizes=batch_sizes if several else (),
    )


PRESET = Preset(
    name="nanotron-mlp",
    title="nanotron: MLPs of all widths and depths",
    question="Does the l1 norm of activations stay the same across widths and depths?",
    source="nanotron, examples/mup/README.md (Spectral µTransfer, MLP only experiment)",
    claim="Under spectral µP the l1 norm of activations is consistent across widths and depths, "
    "up to 2B parameters; the SP baseline blows up and becomes untrainable.",
    build=studies,
    needs="a GPU, and CIFAR-10 in the datasets folder",
    notes=(
        "no learning rate, nonlinearity, initialization of SP or number of seeds is printed: 1e-3, "
        "ReLU, LeCun and 3 are our choice",
        "'spectral' is the rule of the paper (Adam: 1/fan_in), 'nanotron' what its code does "
        "(fan_out/fan_in with every optimizer); which of them the experiment had is not printed",
        "laptop: digits stand in for CIFAR-10 and 30 steps for 4 epochs; below a width of 3072, "
        "the inputs of CIFAR, the spectral rule starts the first layer larger the wider it is",
        "batches are drawn with repetition, not in epochs",
    ),
)
