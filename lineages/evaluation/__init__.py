"""lm-evaluation-harness on the generations of a lineage; ``results`` reads what it wrote and needs no model."""
