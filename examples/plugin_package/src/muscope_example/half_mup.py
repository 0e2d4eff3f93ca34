"""A parametrization between SP and µP, to see what half of the learning-rate rule does.

A parametrization is a table of formulas, so there is nothing to make: whoever has the description
can compute every number of it.
"""

from muscope.plugins import Plugin

_INPUT = {"init_std": "1/sqrt(fan_in)"}
_OUTPUT = {"multiplier": "1/m_in", "init_std": "1/sqrt(base_fan_in)"}

HALF_MUP = Plugin(
    "parametrization",
    title="Half µP",
    help="µP with the learning rate of hidden weights scaled by a power of the width.",
    source="made up for this example",
    options=[
        {
            "name": "power",
            "default": 0.5,
            "low": 0.0,
            "high": 1.0,
            "help": "Hidden rates are divided by the relative width to this power; µP is 1.",
        }
    ],
    rules={
        "sign_like": {
            "embedding": _INPUT,
            "hidden": {
                "learning_rate_factor": "m_in**-power",
                "weight_decay_factor": "m_in**power",
            },
            "output": _OUTPUT,
            "vector": {},
        },
        "sgd_like": {
            "embedding": {**_INPUT, "learning_rate_factor": "m_out"},
            "hidden": {},
            "output": {**_OUTPUT, "learning_rate_factor": "m_in"},
            "vector": {"learning_rate_factor": "m_out"},
        },
    },
    attention_scale="sqrt(base_d)/d",
)
