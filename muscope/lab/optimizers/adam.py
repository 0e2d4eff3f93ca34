"""Adam (Kingma & Ba 2015) with L2 weight decay: the decay is part of the gradient."""

from muscope.lab.optimizers.adamw import AdamW


class Adam(AdamW):
    """Adam with the options of the catalogue.

    The decay goes through the moments, so Adam divides it away again: the abc-symmetry does not
    hold for this form (docs/facts.md 1), and no decay factor makes it independent of width.
    """

    is_decoupled = False
