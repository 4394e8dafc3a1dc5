"""The tests: stories in ``interaction``, the rest mirrors ``debug_mcp``."""
