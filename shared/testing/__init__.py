"""Builders and stand-ins that the tests of every part may use."""
