"""An audit of a model that is still in the making."""
