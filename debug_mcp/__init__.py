"""debug-mcp: a place for LLM agents to build, test and debug a git repository."""

__version__ = "0.1.0"
