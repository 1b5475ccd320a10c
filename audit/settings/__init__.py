"""What a user may set, from the command line down to the defaults."""
