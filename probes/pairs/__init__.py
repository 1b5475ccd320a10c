"""Two samples set side by side: what every probe receives, and what several probes compute of it."""
