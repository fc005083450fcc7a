"""What torch does with the operations of a call, beside running them."""

import torch


def transformed() -> bool:
    """Whether torch.func transforms the operations, as grad and vmap do."""
    return torch._C._functorch.maybe_current_level() is not None


def traced() -> bool:
    """Whether the values of tensors cannot be read, as torch.func or torch.compile follows the operations."""
    return transformed() or torch.compiler.is_compiling()
