"""Ways to reach the contract."""
