"""``debug-mcp demo``: the main job, done by a real client against a real server, for a person."""
