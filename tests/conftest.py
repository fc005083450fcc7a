"""One thread: the tensors are small, and threads of a busy machine wait for each other."""

import torch

torch.set_num_threads(1)
