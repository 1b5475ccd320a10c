"""What a probe compares between two lineages that answered the same prompts."""
