"""Writes torch-zip.pt, torch-legacy.pt (the same weights) and torch-expected.npz; PyTorch 2.13.0."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

FEATURES, CHANNELS, OUTPUTS = [2, 4, 6, 8], 3, 2


def block(before, after, name):
    layers = nn.Sequential()
    for n in (1, 2):
        layers.add_module(f"{name}conv{n}", nn.Conv2d(before, after, 3, padding=1, bias=False))
        layers.add_module(f"{name}norm{n}", nn.BatchNorm2d(after))
        layers.add_module(f"{name}relu{n}", nn.ReLU())
        before = after
    return layers


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        *down, bottom = FEATURES
        before = CHANNELS
        for n, width in enumerate(down, 1):
            self.add_module(f"encoder{n}", block(before, width, f"enc{n}"))
            before = width
        self.bottleneck = block(before, bottom, "bottleneck")
        before = bottom
        for n, width in reversed(list(enumerate(down, 1))):
            self.add_module(f"upconv{n}", nn.ConvTranspose2d(before, width, 2, stride=2))
            self.add_module(f"decoder{n}", block(2 * width, width, f"dec{n}"))
            before = width
        self.conv = nn.Conv2d(before, OUTPUTS, 1)

    def forward(self, x):
        skips = []
        for n in range(1, len(FEATURES)):
            skips.append(getattr(self, f"encoder{n}")(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.bottleneck(x)
        for n in range(len(FEATURES) - 1, 0, -1):
            x = torch.cat((getattr(self, f"upconv{n}")(x), skips.pop()), dim=1)
            x = getattr(self, f"decoder{n}")(x)
        return torch.sigmoid(self.conv(x))


torch.manual_seed(0)
net = Net()
with torch.no_grad():
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
            module.momentum = 1.0
    image = torch.randn(1, CHANNELS, 32, 48)
    net.train()(image)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.1 * torch.randn_like(module.running_mean)
            module.running_var *= torch.empty_like(module.running_var).uniform_(0.5, 1.5)
    net.eval()
    logits = torch.logit(net(image))
    net.conv.weight *= 2 / logits.std()
    net.conv.bias.copy_((net.conv.bias - logits.mean((0, 2, 3))) * 2 / logits.std())
    out = net(image)
folder = Path(sys.argv[1])
for name, zipped in (("torch-zip.pt", True), ("torch-legacy.pt", False)):
    torch.save(net.state_dict(), folder / name, _use_new_zipfile_serialization=zipped)
np.savez_compressed(
    folder / "torch-expected.npz",
    image=image.permute(0, 2, 3, 1).numpy(),
    probability=out.permute(0, 2, 3, 1).numpy(),
)
base = torch.arange(24, dtype=torch.float32)
various = {
    "slice": base.reshape(4, 6)[1:3, ::2],
    "transposed": base.reshape(2, 3, 4).permute(2, 0, 1),
    "half": torch.tensor([1.5, -2.25, 65504.0]).half(),
    "double": torch.tensor([0.1, 1e-3], dtype=torch.float64),
    "bfloat16": torch.tensor([1.5, -3.140625, 1e30]).bfloat16(),
    "long": torch.tensor(7),
    "bool": torch.tensor([True, False]),
    "parameter": nn.Parameter(torch.tensor([1.0, 2.0])),
}
for name, zipped in (("various-zip.pt", True), ("various-legacy.pt", False)):
    checkpoint = {"epoch": 3, "state_dict": various, "optimizer": {"state": {0: base * 2}}}
    torch.save(checkpoint, folder / name, _use_new_zipfile_serialization=zipped)
print(out.std(), out.min(), out.max())
