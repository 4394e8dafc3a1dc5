"""What the server costs, held against its budgets: ``make bench``. No part of the tests."""
