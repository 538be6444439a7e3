"""What scan.py needs besides the bridge: to find files, to count, to show."""

from .command import main
from .counts import Pass, batches
from .folder import find, read_ahead
from .report import Progress, announce, report, stopped
from .timeline import draw

__all__ = [
    "Pass",
    "Progress",
    "announce",
    "batches",
    "draw",
    "find",
    "main",
    "read_ahead",
    "report",
    "stopped",
]
