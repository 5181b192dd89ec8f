"""Networks with every kind of normalization, trained for some steps."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Averaging(nn.Module):
    """A normalization of one's own: a running mean under another name, and a table that never changes."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("average", torch.zeros(width))
        self.register_buffer("table", torch.tensor([0.0, -float("inf")]))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)

    def forward(self, x):
        if self.training:
            self.average += 0.3 * (x.detach().mean(0) - self.average)
        return x - self.average


class Flat(nn.Module):
    """Gives a normalization over images what it takes, and flattens it again."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x):
        return self.norm(x.reshape(-1, 4, 4)).flatten(1)


KINDS = {
    "BatchNorm1d": lambda: nn.BatchNorm1d(16),
    "batch norm without scales": lambda: nn.BatchNorm1d(16, affine=False),
    "batch norm without statistics": lambda: nn.BatchNorm1d(16, track_running_stats=False),
    "SyncBatchNorm": lambda: nn.SyncBatchNorm(16),
    "InstanceNorm with statistics": lambda: Flat(nn.InstanceNorm1d(4, track_running_stats=True)),
    "InstanceNorm": lambda: Flat(nn.InstanceNorm1d(4)),
    "a running mean of one's own": lambda: Averaging(16),
}
X = torch.randn(200, 8, generator=torch.Generator().manual_seed(0)) * 2 + 1


def trained(kind, seed, steps=12):
    """A network of a kind after some steps on data of its own scale, in eval mode, and its checkpoints."""
    torch.manual_seed(seed)
    norm = KINDS[kind]()
    training = kind != "SyncBatchNorm"  # which trains on a GPU only
    net = nn.Sequential(nn.Linear(8, 16), norm if training else nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    path = []
    for _ in range(steps):
        path.append(copy.deepcopy(net).eval())
        optimizer.zero_grad()
        net((seed + 1) * X[torch.randperm(200)[:50]]).square().mean().backward()
        optimizer.step()
    path.append(net.eval())
    if not training:
        path = [nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(net)).eval() for net in path]
    return path
