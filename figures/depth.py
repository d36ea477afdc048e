"""Four blocks a stage: what does depth cost a plain network, and what helps?"""

from functools import partial

from runs import train_all

import residual_variants as variants

DEPTH = 4
NAMES = ["plain", "plain-bn", "original"]
NETWORKS = {
    f"{name}-depth-{DEPTH}": partial(variants.Net, variants.BLOCKS[name], DEPTH)
    for name in NAMES
}
