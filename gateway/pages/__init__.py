"""Pages for people: one per problem code and per finding in a packet, and the list of calls."""

from gateway.pages.findings import add_finding_pages
from gateway.pages.problems import add_problem_pages
from gateway.pages.reference import add_reference_page

__all__ = ["add_finding_pages", "add_problem_pages", "add_reference_page"]
