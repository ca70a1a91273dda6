"""The version of the package, for what lies below its front."""

from __future__ import annotations

__version__ = "0.1.0"
