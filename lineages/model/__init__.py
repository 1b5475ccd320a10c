"""The data model: generations, the corpora they wrote, and what was trained on what."""
