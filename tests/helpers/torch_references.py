"""References that take tensors, in a module that other processes can import."""

import torch
from helpers.references import reference


def by_definition(name, preds, labels, num_classes=3):
    return reference(name, preds.numpy(), labels.numpy(), num_classes)


def counted(preds, labels, num_classes=3, ignore=255):
    """Pixels by true and predicted label."""
    pairs = (labels * num_classes + preds)[labels != ignore]
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)
