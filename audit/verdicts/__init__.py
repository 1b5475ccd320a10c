"""From estimates to a verdict: the one rule, Holm, looks that share alpha, waivers, and the stored history."""
