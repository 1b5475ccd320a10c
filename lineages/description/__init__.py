"""What a corpus is made of: records, gaps, lengths, words, labels, topics, sentiment."""
