"""What was measured on a generation and lies beside its texts: likelihoods, contexts, lm-eval results."""
