"""What a text can tell at its n: trials on halves of a baseline, and the margins that they settle."""
