"""The data before training: broken rows, duplicates, disagreements, leaks between splits and tasks, lengths, floors."""

from minbert.audit.check import Audit, check
from minbert.audit.findings import KINDS, Finding
from minbert.audit.fix import fix
from minbert.audit.rows import Reading, read_rows

__all__ = ["KINDS", "Audit", "Finding", "Reading", "check", "fix", "read_rows"]
