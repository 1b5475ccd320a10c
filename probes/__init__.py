"""The probes: what is measured, how it is tested, and nothing about files, thresholds or reports."""
