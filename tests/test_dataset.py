"""The input tensors: equal to torchvision's own pipeline, and an honest sample."""

import torch
from torchvision import datasets, transforms

import resnet_mnist

PIPELINE = transforms.Compose(
    [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
)


def assert_equals_pipeline(folder):
    train_set, test_set, remark = resnet_mnist.load_mnist(folder, "cpu")
    assert remark == ""
    for train, (images, labels) in ((True, train_set), (False, test_set)):
        expected = datasets.MNIST(folder, train, transform=PIPELINE)
        assert len(images) == len(labels) == len(expected)
        assert images.shape[1:] == (1, 28, 28)
        for image, label, (expected_image, expected_label) in zip(
            images, labels, expected, strict=True
        ):
            assert torch.equal(image, expected_image)
            assert label == expected_label


def test_tensors_equal_the_pipeline_bit_for_bit(tiny_mnist):
    assert_equals_pipeline(tiny_mnist)


def test_tensors_of_full_mnist_equal_the_pipeline_bit_for_bit(full_mnist):
    assert_equals_pipeline(full_mnist)


def test_sample_is_split_by_class_and_disjoint(sample):
    (train_images, train_labels), (test_images, test_labels) = sample
    assert train_images.shape == (4000, 28, 28)
    assert test_images.shape == (1000, 28, 28)
    assert train_labels.bincount().tolist() == [400] * 10
    assert test_labels.bincount().tolist() == [100] * 10
    train = {image.numpy().tobytes() for image in train_images}
    assert not train & {image.numpy().tobytes() for image in test_images}


def test_sample_is_a_part_of_the_training_set_of_mnist(sample, full_mnist):
    mnist = datasets.MNIST(full_mnist, train=True)
    known = {
        image.numpy().tobytes(): label
        for image, label in zip(mnist.data, mnist.targets.tolist(), strict=True)
    }
    for images, labels in sample:
        for image, label in zip(images, labels.tolist(), strict=True):
            assert known[image.numpy().tobytes()] == label


def test_sample_stands_in_when_the_download_fails(tmp_path, capsys):
    train_set, test_set, remark = resnet_mnist.load_mnist(tmp_path, "cpu")
    assert (len(train_set[0]), len(test_set[0])) == (4000, 1000)
    assert "sample" in remark
    told = capsys.readouterr().out
    assert told.count("\n") == 2
    assert "could not be downloaded" in told
    assert "refused" in told
    assert str(tmp_path / "MNIST" / "raw") in told


def test_tensors_have_the_types_that_training_needs(tiny_mnist):
    for images, labels in resnet_mnist.load_mnist(tiny_mnist, "cpu")[:2]:
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
