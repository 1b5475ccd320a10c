"""``python -m collapse_audit``: the command ``collapse-audit``."""

from __future__ import annotations

import sys

from collapse_audit.cli import main

if __name__ == "__main__":
    sys.exit(main())
