"""How well a generation predicts what people wrote and no model was trained on: Nature's own quantity, in nats a token.

Shumailov et al. 2024 measure models of all generations on the original test text. Comparable between models of one
base only: the tokens are its own.
"""

from __future__ import annotations

import numpy as np

from collapse_audit.errors import UsageError
from collapse_audit.lineages.training.base import load_tokenizer, prepare_base
from collapse_audit.lineages.training.examples import Encoder
from collapse_audit.lineages.training.models import load_generation, use
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.run import Run
from collapse_audit.lineages.training.score import score


def nats_per_token(run: Run, seed: int, index: int, progress: Progress) -> float:
    """Mean negative log-likelihood of the held-out human text under one generation, over all of its tokens.

    Under the task ``completion`` over the tokens of the answers and their ends, each behind its prompt. Raises
    UsageError where the lineage holds no text out, TrainingError where the model cannot be loaded.
    """
    people = run.lineage().reference_holdout
    if people is None:
        message = f"{run.where} has no held-out human text; add reference.holdout.* to its folder and its manifest"
        raise UsageError(message, slug="no-holdout")
    base = prepare_base(run.root, run.recipe, progress)
    adapter = run.folder(seed, index) / "adapter"
    model, _ = load_generation(base, run.recipe, writer=adapter, scorer=adapter)
    use(model, "scorer")
    encoder = Encoder(load_tokenizer(base), run.recipe)
    examples = encoder.human(people)
    what = f"{run.where}: seed {seed}, generation {index} reads people's text"
    nats = score(
        model, examples, pad=encoder.pad, batch_size=run.recipe.decoding.batch_size, what=what, progress=progress
    )
    tokens = np.array([len(example.ids) - example.start for example in examples])
    return float(np.average(nats[tokens > 0], weights=tokens[tokens > 0]))
