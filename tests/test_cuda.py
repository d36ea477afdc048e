"""What is different on a GPU; run where there is one."""

import os
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

VISIBLE = {
    name: os.environ[name] for name in os.environ if name != "CUDA_VISIBLE_DEVICES"
}


def start(code, *flags):
    """Run Python code in a process that sees the GPUs."""
    command = [sys.executable, "-c", code, *flags]
    pipes = {"capture_output": True, "text": True, "timeout": 600, "env": VISIBLE}
    done = subprocess.run(command, check=False, cwd=ROOT, **pipes)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def cuda():
    if start("import torch; print(torch.cuda.is_available())") != "True\n":
        pytest.skip("needs a GPU")


def test_a_checkpoint_of_cuda_loads_on_the_cpu(places, tmp_path):
    code = "import resnet_mnist; resnet_mnist.main()"
    start(code, "--device", "cuda", "--epochs", "1", *places)
    checkpoint = torch.load(tmp_path / "resnet_mnist.pt", weights_only=True)
    assert {x.device.type for x in checkpoint["state_dict"].values()} == {"cpu"}


@pytest.mark.parametrize(
    "name", ["branches", "depth", "derivative", "errors", "own_digit"]
)
def test_an_experiment_measures_a_net_on_cuda(name, full_mnist):
    code = f"""import sys; sys.path.insert(0, "experiments")
import runs, googlenet_mnist, resnet_mnist, {name}
net = (googlenet_mnist if {name!r} == "branches" else resnet_mnist).Net()
print(sorted({name}.measure(net.to(runs.DEVICE))) == sorted(runs.MEASURES[{name!r}]), runs.DEVICE)"""
    assert start(code) == "True cuda\n"
