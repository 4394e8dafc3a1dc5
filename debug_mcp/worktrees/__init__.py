"""Git: mirrors of upstreams, and the private working trees of sessions."""
