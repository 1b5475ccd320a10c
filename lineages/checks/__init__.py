"""What a lineage's files say of its models, held against each other."""
