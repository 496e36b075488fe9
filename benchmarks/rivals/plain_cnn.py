"""A plain convolutional network in torch: three blocks, AdamW, a learning rate that falls as the seconds go."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from contract import Job, Rival, answer, compete, padded, pictures, series, sounds
from torch import Tensor, nn

WIDTHS, BATCH, RATE, EPOCHS = (32, 64, 128), 64, 2e-3, 200
SHARE = 0.95  # of the seconds


def network(channels: int, axes: int, classes: int) -> nn.Sequential:
    """Three times convolution, normalisation, ReLU and pooling by two; then the mean over all places."""
    conv, norm, pool = (
        (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d) if axes == 1 else (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d)
    )
    mean = nn.AdaptiveAvgPool1d(1) if axes == 1 else nn.AdaptiveAvgPool2d(1)
    layers: list[nn.Module] = []
    for width in WIDTHS:
        layers += [conv(channels, width, 7 if axes == 1 else 3, padding="same"), norm(width), nn.ReLU(), pool(2)]
        channels = width
    return nn.Sequential(*layers, mean, nn.Flatten(), nn.Dropout(0.2), nn.Linear(channels, classes))


class PlainCNN(Rival):
    """Pictures as they are, shifted and mirrored in training; series as they are; recordings as spectrograms."""

    package = "torch"

    def fit(self, job: Job) -> None:
        start = time.monotonic()
        torch.manual_seed(job.seed)
        torch.set_num_threads(job.cores)
        self.kind, self.steps = job.kind, 0
        x, labels = self.read(job.train)
        self.steps = x.shape[-1]
        self.mean, self.std = x.mean(), x.std()
        self.classes, codes = np.unique(labels, return_inverse=True)
        y = torch.from_numpy(codes)
        self.net = network(x.shape[1], x.ndim - 2, len(self.classes))
        optimiser = torch.optim.AdamW(self.net.parameters(), RATE, weight_decay=1e-2)
        batches, step, used = EPOCHS * math.ceil(len(x) / BATCH), 0, 0.0
        self.net.train()
        while used < 1:
            for rows in torch.randperm(len(x)).split(BATCH):
                used = max((time.monotonic() - start) / (SHARE * job.seconds), step / batches)
                if used >= 1:
                    break
                if len(rows) < 2:  # normalisation needs two
                    continue
                optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * used))
                batch = self.scaled(x[rows])
                loss = nn.functional.cross_entropy(self.net(moved(batch) if self.kind == "picture" else batch), y[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                step += 1
        self.net.eval()

    def scaled(self, x: Tensor) -> Tensor:
        return (x - self.mean) / (self.std + 1e-6)

    def read(self, path: Path) -> tuple[Tensor, np.ndarray]:
        """(n, channels, axes...) and labels."""
        if self.kind == "picture":
            found, labels = pictures(path)
        elif self.kind == "sound":
            found, labels = sounds(path)
            return spectrograms(torch.from_numpy(found)), labels
        else:
            rows, labels = series(path)
            found = padded(rows, self.steps or max(8, *(r.shape[1] for r in rows)))
        return torch.from_numpy(np.ascontiguousarray(found)), labels

    @torch.no_grad()
    def predict(self, rows: Path) -> pd.DataFrame:
        x, _ = self.read(rows)
        chances = [self.net(self.scaled(part)).softmax(dim=1) for part in x.split(256)]
        return answer(self.classes, torch.cat(chances).numpy())

    def save(self, folder: Path) -> Path:
        torch.save(self.net.state_dict(), folder / "model.pt")
        return folder


def moved(batch: Tensor) -> Tensor:
    """Pictures shifted by up to two pixels, and half of the batches mirrored."""
    down, right = (int(v) for v in torch.randint(-2, 3, (2,)))
    batch = torch.roll(batch, (down, right), (2, 3))
    return batch.flip(3) if torch.rand(()) < 0.5 else batch


def spectrograms(sound: Tensor) -> Tensor:
    """Samples (n, t) to the logarithm of their spectrum (n, 1, 65, 63)."""
    parts = [
        torch.stft(p, 128, 128, window=torch.hann_window(128), return_complex=True).abs() for p in sound.split(256)
    ]
    return torch.log(torch.cat(parts) + 1e-4)[:, None]


if __name__ == "__main__":
    compete(PlainCNN())
