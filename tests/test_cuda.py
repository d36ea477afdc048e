"""What is different on a GPU; run where there is one."""

import os
import subprocess
import sys
from shutil import which

import pytest
import torch
from conftest import MEASURED, ROOT

pytestmark = pytest.mark.skipif(not which("nvidia-smi"), reason="needs a GPU")


def python(code, *flags):
    """Run code in a process that sees the GPU, which conftest.py hides; return output."""
    visible = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    command = [sys.executable, "-c", code, *flags]
    pipes = {"capture_output": True, "text": True, "timeout": 600, "env": visible}
    done = subprocess.run(command, check=False, cwd=ROOT, **pipes)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_checkpoint_of_cuda_loads_on_the_cpu(device, places, tmp_path):
    code = "import sys, resnet_mnist; resnet_mnist.main(sys.argv[1:])"
    python(code, "--device", device, "--epochs", "1", *places)
    checkpoint = torch.load(tmp_path / "resnet_mnist.pt", weights_only=True)
    assert {x.device.type for x in checkpoint["state_dict"].values()} == {"cpu"}


MEASURE = """import sys; sys.path.insert(0, "experiments")
import runs, {name}
build, *_ = next(iter({name}.PLAN.values())).networks.values()
measured = {name}.measure(build().to("cuda"), *runs.load("cuda"))
print("measured", measured)"""


@pytest.mark.parametrize("name", MEASURED)
def test_an_experiment_measures_a_net_on_cuda(name, full_mnist):
    assert python(MEASURE.format(name=name)).startswith("measured")
