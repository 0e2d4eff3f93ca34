"""A residual MLP: blocks of norm, up, gate, down, each added to the stream."""

from muscope.plugins import Plugin


class GatedMlp:
    """Written in muscope's operators, which know weights, multipliers and what is recorded."""

    def __init__(self, width, depth, options):
        self.depth, self.has_gate = depth, options["gate"]

    def loss(self, operators, batch):
        """The mean loss of the batch; every activation that is described is tapped, in order."""
        stream = operators.tap("input", operators.linear("input", batch.inputs))
        for block in range(self.depth):
            stream = operators.branch(
                block, stream, lambda x, at=f"blocks.{block}": self.block(operators, at, x)
            )
            operators.tap(f"blocks.{block}.residual", stream)
        stream = operators.norm("norm", "rmsnorm", stream)
        logits = operators.tap("readout", operators.linear("readout", stream))
        return operators.cross_entropy(logits, batch.targets)

    def block(self, operators, at, stream):
        """What one branch makes of the stream."""
        inputs = operators.norm(f"{at}.norm", "rmsnorm", stream)
        hidden = operators.tap(f"{at}.up", operators.linear(f"{at}.up", inputs))
        if self.has_gate:
            gate = operators.tap(f"{at}.gate", operators.linear(f"{at}.gate", inputs))
            hidden = operators.gated(hidden, gate)
        else:
            hidden = operators.nonlinearity("gelu", hidden)
        return operators.tap(f"{at}.down", operators.linear(f"{at}.down", hidden))


_HIDDEN = {"role": "hidden", "in_branch": True}

GATED_MLP = Plugin(
    "model",
    GatedMlp,
    title="Gated MLP",
    help="Residual blocks of norm, up, gate and down; for images.",
    dataset="./rings",  # of this package; "digits" would be muscope's
    batch_size=64,
    options=[
        {"name": "gate", "default": True, "help": "Multiply by SiLU of a gate."},
        {"name": "ratio", "default": 2, "low": 1, "high": 8, "help": "Inner width over the width."},
    ],
    weights=[
        {"name": "input", "role": "embedding", "fan_out": "width", "fan_in": "inputs"},
        {"name": "blocks.{block}.up", "fan_out": "ratio*width", "fan_in": "width", **_HIDDEN},
        {
            "name": "blocks.{block}.gate",
            "fan_out": "ratio*width",
            "fan_in": "width",
            "when": "gate",
            **_HIDDEN,
        },
        {
            "name": "blocks.{block}.down",
            "fan_out": "width",
            "fan_in": "ratio*width",
            "writes_stream": True,
            **_HIDDEN,
        },
        {"name": "readout", "role": "output", "fan_out": "classes", "fan_in": "width"},
    ],
    activations=[
        {"name": "input", "role": "embedding", "elements": "width"},
        {
            "name": "blocks.{block}.up",
            "role": "hidden",
            "elements": "ratio*width",
            "unrecorded": "width",
        },
        {
            "name": "blocks.{block}.gate",
            "role": "hidden",
            "elements": "ratio*width",
            "when": "gate",
        },
        {
            "name": "blocks.{block}.down",
            "role": "hidden",
            "elements": "width",
            "unrecorded": "2*ratio*width",
        },
        {"name": "blocks.{block}.residual", "role": "residual", "elements": "width"},
        {"name": "readout", "role": "output", "elements": "classes", "unrecorded": "width"},
    ],
    requires=[{"that": "width % 8 == 0", "why": "the width must be a multiple of 8"}],
)
