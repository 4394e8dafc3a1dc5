"""Servers killed at any moment of a mixed load, and what must hold of the ledger after that."""
