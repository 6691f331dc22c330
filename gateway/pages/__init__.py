"""Pages for people: one per problem code, and the list of calls."""

from gateway.pages.problems import add_problem_pages
from gateway.pages.reference import add_reference_page

__all__ = ["add_problem_pages", "add_reference_page"]
