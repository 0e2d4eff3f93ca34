"""Which row of facts 5.1 a parametrization follows."""

from muscope.theory.rule import Switches
from muscope.vocabulary import UpdateFamily

_ROW = {
    **dict.fromkeys(("lingle", "depth_mup", "complete_p"), "mup"),
    **{name: name for name in ("spectral", "nanotron", "u_mup")},
}
# Where options decide between two rows: the row with these options, the row otherwise.
_VARIANT_ROWS: dict[str, tuple[Switches, str, str]] = {
    "sp": ({"init": "gpt2"}, "sp_fixed_std", "sp"),
    "ntk": ({"rates": "fixed"}, "ntk_fixed", "ntk"),
    "mean_field": ({"rates": "fixed"}, "mean_field_fixed", "mup"),
    "cerebras": (
        {
            "scale_output_logits_by_d": True,
            "decoder_attention": 0.0,
            "decoder_input_ffn": 0.0,
            "decoder_output_ffn": 0.0,
        },
        "mup",
        "",
    ),
    "minicpm": ({"all_are_2d": False}, "mup", ""),
}


def row(parametrization: str, options: Switches, family: UpdateFamily) -> str:
    """The row of facts 5.1 that a parametrization follows in width; "" where there is none.

    What is abc-equivalent to µP, or is µP's Table 3 or 8 with constants of its own, is "mup";
    `family` is that of the optimizer that steps hidden weights.
    """
    if parametrization == "everett":
        return _everett(options)
    if parametrization == "mup":
        return _mup(options, family)
    if parametrization in _VARIANT_ROWS:
        asked, row, other = _VARIANT_ROWS[parametrization]
        return row if all(options[name] == value for name, value in asked.items()) else other
    return _ROW.get(parametrization, "")


def _mup(options: Switches, family: UpdateFamily) -> str:
    """Only an optimizer with a trust ratio reads the rate that has no row (facts 3, note L)."""
    reads = family is UpdateFamily.TRUST_RATIO
    return "" if reads and options["trust_ratio_rate"] == "full_rank" else "mup"


def _everett(options: Switches) -> str:
    if options["alignment"] != "full":
        return ""
    return "everett" if options["form"] in ("sp", "ntk") else "mup"
