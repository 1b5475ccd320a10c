"""The QLoRA trainer: a lineage's next generation, from ``lineage.toml`` alone. ``collapse-lineage train`` runs it.

Read in this order: recipe (every setting), schemes (what a generation learns from), run (a lineage being made),
loop (the one loop: train, write, score, append), then what the loop calls: base, examples, finetune, generate, score.
guards holds every check against the failures that training hides. Nothing here is imported by an audit.
"""
