"""What an audit found, as one frozen document, and how it looks."""
