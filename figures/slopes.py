"""Is the derivative of a residual block always at least 1, as the notes say?

python figures/slopes.py    # prints README's figures of the runs of own_digit.py
"""

import torch.nn.functional as F
from runs import DATA, kept
from torch.func import jacrev, vmap

from resnet_mnist import load_mnist


def slopes(net):
    """{"negative": share (%) of the dy_i/dx_i below 0, "least": the least}, by block."""
    found, inputs = {"negative": [], "least": []}, []
    blocks = [net.rblock1, net.rblock2]
    for block in blocks:
        block.register_forward_pre_hook(lambda _, x: inputs.append(x[0].detach()))
    net.eval()(load_mnist(DATA, "cpu")[0][0][:16])
    for block, x in zip(blocks, inputs):

        def y(x, block=block):
            return block.conv2(F.relu(block.conv1(x[None]))).flatten()

        jacobians = vmap(jacrev(y))(x).flatten(2)  # of a digit: up to 2304 * 2304
        diagonals = jacobians.diagonal(dim1=1, dim2=2)
        found["negative"].append(round(100 * (diagonals < 0).float().mean().item(), 1))
        found["least"].append(round(diagonals.min().item(), 3))
    return found


if __name__ == "__main__":
    for run in kept().values():
        if "negative" in run:
            print(f"seed {run['seed']}: {run['negative']} % of dy_i/dx_i are negative")
            print(f"in rblock1 and rblock2, the least are {run['least']}")
