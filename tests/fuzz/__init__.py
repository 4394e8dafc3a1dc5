"""schemathesis against a real server: what it says of itself in OpenAPI, it must keep."""
