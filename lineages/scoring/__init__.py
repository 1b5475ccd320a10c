"""How surprised a model is by texts, and how sure it is of the next word: numbers that need a model and no sampling.

``scorer`` says which model it is, ``likelihood`` computes, ``corpora`` and ``contexts`` go through a lineage. What they
write is read without torch, by ``lineages.scores`` and ``lineages.concentration``.
"""
