"""The contract: one typed function an operation."""
