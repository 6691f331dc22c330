"""
The one table from problem code to HTTP status and to what people are told, in Vietnamese and English.

Services know codes only; the statuses and the pages live here. A test checks that every refusal of every service has
its entry.
"""

from collections.abc import Mapping

from gateway.problems.access import ACCESS
from gateway.problems.findings import FINDINGS, FindingKind
from gateway.problems.http import HTTP
from gateway.problems.kinds import ProblemKind, Text
from gateway.problems.national import NATIONAL
from gateway.problems.proxy import PROXY
from gateway.problems.receiving import RECEIVING
from gateway.problems.registry import REGISTRY
from gateway.problems.sending import SENDING
from gateway.problems.vxp import VXP

PROBLEMS: Mapping[str, ProblemKind] = {
    kind.code: kind for kind in (*ACCESS, *HTTP, *SENDING, *RECEIVING, *REGISTRY, *NATIONAL, *PROXY, *VXP)
}

__all__ = ["FINDINGS", "PROBLEMS", "FindingKind", "ProblemKind", "Text"]
