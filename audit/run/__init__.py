"""One audit: what is compared with what, measured, judged, and put together as a report."""
