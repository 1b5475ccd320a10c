"""What is known of the models besides their texts."""
