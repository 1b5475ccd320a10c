"""A variational autoencoder of scikit-learn's digits, which learns from the digits that the one before drew.

Shumailov et al. 2024 train one on MNIST: after some generations the digits become one. The 1,797 digits of
scikit-learn have 8 by 8 pixels and come with it, so nothing is downloaded; a record is a picture, its 64 grey levels
from 0 to 1. The model is that of Kingma & Welling 2014 (arXiv 1312.6114): a hidden layer each way, a few normal latent
numbers, Bernoulli pixels. Pictures are drawn as the means of their pixels, as in the paper's figure.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from collapse_audit.lineages.simulation.numbers import Draw, Fit, FloatArray

LATENT, HIDDEN = 8, 64
STEPS, BATCH, RATE = 400, 64, 3e-3


def digits() -> FloatArray:
    """The pictures of people's digits, shape (1797, 64), grey levels from 0 to 1."""
    from sklearn.datasets import load_digits

    return np.asarray(load_digits().data / 16, np.float64)


def autoencoder(seed: int) -> Fit:
    """How an autoencoder is learned from N pictures, shape (N, W): :data:`STEPS` steps of Adam on the evidence bound.

    Every fit has a seed of its own, ``seed`` and how many were made before: the same lineage twice is the same.
    """
    made = 0

    def fit(pictures: FloatArray) -> Draw:
        nonlocal made
        made += 1
        return _learned(pictures, seed * 1009 + made)

    return fit


def _learned(pictures: FloatArray, seed: int) -> Draw:
    import torch
    from torch.nn import Linear, ReLU, Sequential
    from torch.nn.functional import binary_cross_entropy_with_logits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network that threads only wait for each other
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = pictures.shape[1]
        encoder = Sequential(Linear(width, HIDDEN), ReLU(), Linear(HIDDEN, 2 * LATENT))
        decoder = Sequential(Linear(LATENT, HIDDEN), ReLU(), Linear(HIDDEN, width))
        adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)
        data = torch.from_numpy(pictures).float()
        for _ in range(STEPS):
            batch = data[torch.randint(len(data), (BATCH,))]
            mean, log_variance = encoder(batch).chunk(2, dim=1)
            latent = mean + (log_variance / 2).exp() * torch.randn_like(mean)
            misfit = binary_cross_entropy_with_logits(decoder(latent), batch, reduction="sum")
            divergence = (log_variance.exp() + mean**2 - 1 - log_variance).sum() / 2
            adam.zero_grad()
            ((misfit + divergence) / len(batch)).backward()
            adam.step()
    torch.set_num_threads(threads)

    def draw(count: int, rng: np.random.Generator) -> FloatArray:
        latent: Any = torch.from_numpy(rng.normal(size=(count, LATENT))).float()
        with torch.no_grad():
            return np.asarray(decoder(latent).sigmoid().numpy(), np.float64)

    return draw
