"""Every parametrization that muscope knows, by name."""

from muscope.theory.cerebras import CEREBRAS
from muscope.theory.complete_p import COMPLETE_P
from muscope.theory.depth_mup import DEPTH_MUP
from muscope.theory.everett import EVERETT
from muscope.theory.lingle import LINGLE
from muscope.theory.mean_field import MEAN_FIELD
from muscope.theory.minicpm import MINICPM
from muscope.theory.mup import MUP
from muscope.theory.nanotron import NANOTRON
from muscope.theory.ntk import NTK
from muscope.theory.rule import Parametrization
from muscope.theory.sp import SP
from muscope.theory.spectral import SPECTRAL
from muscope.theory.u_mup import U_MUP

PARAMETRIZATIONS: dict[str, Parametrization] = {
    entry.name: entry
    for entry in (
        SP,
        MUP,
        NTK,
        MEAN_FIELD,
        SPECTRAL,
        NANOTRON,
        CEREBRAS,
        MINICPM,
        LINGLE,
        EVERETT,
        DEPTH_MUP,
        COMPLETE_P,
        U_MUP,
    )
}
