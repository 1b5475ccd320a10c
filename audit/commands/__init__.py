"""One module a subcommand: its arguments, and what it prints. The work is done elsewhere."""
