"""Runs made up for the tests of experiments/."""


def a_run(**given):
    """A run as the store keeps it: ten epochs of a ResNet, where nothing else is given."""
    run = {"network": "ResNet", "seed": 0, "epochs": 10, "lr": 0.01, "clip": None}
    run.update(losses=[0.1] * 10, accuracies=[90.0] * 10, measured={})
    run.update(device="CPU", torch="2.0")
    return {**run, **given}


def ends_with(*accuracies, **given):
    """Runs with a single accuracy each, their last."""
    return [a_run(accuracies=[accuracy], **given) for accuracy in accuracies]
