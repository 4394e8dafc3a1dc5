"""Files handed out: found in a session's tree, kept by content."""
