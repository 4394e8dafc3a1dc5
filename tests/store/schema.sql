CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
CREATE TABLE artifacts (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    principal TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('junit', 'coverage', 'core', 'patch', 'bundle', 'other')),
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    created_at INTEGER NOT NULL,
    UNIQUE (session_id, name, sha256)
) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    principal TEXT,
    token_id TEXT,
    operation TEXT NOT NULL,
    object_id TEXT,
    outcome TEXT NOT NULL,
    seconds REAL NOT NULL CHECK (seconds >= 0),
    request_id TEXT NOT NULL,
    peer TEXT
) STRICT;
CREATE TABLE command_artifacts (
    command_id TEXT NOT NULL REFERENCES commands (id),
    artifact_id TEXT NOT NULL REFERENCES artifacts (id),
    PRIMARY KEY (command_id, artifact_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    principal TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'starting', 'running', 'finished')),
    request TEXT NOT NULL CHECK (json_valid(request)),
    -- It runs beside its session's queue: it waits for none of it, and none of it for this.
    parallel INTEGER NOT NULL DEFAULT 0 CHECK (parallel IN (0, 1)),
    -- What prepares a session is its first command, and there is one at most.
    kind TEXT NOT NULL DEFAULT 'run' CHECK (kind IN ('run', 'setup', 'debug')),
    accepted_at INTEGER NOT NULL,
    instance TEXT,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    started_at INTEGER,
    ended_at INTEGER,
    outcome TEXT CHECK (outcome IN (
        'succeeded', 'failed', 'timed_out', 'idle_timed_out', 'cancelled',
        'output_limit', 'resource_limit', 'spawn_failed', 'lost'
    )),
    exit_code INTEGER,
    elapsed_seconds REAL,
    cpu_seconds REAL,
    memory_bytes INTEGER,
    stragglers INTEGER,
    -- Of all streams; stderr_bytes of them went into a file of its own.
    output_bytes INTEGER,
    stderr_bytes INTEGER,
    output_dropped INTEGER,
    message TEXT,
    -- The limit that ended it: the setting, and what it was.
    limit_name TEXT,
    limit_value REAL,
    -- How many artifacts its end collected; null when none were asked for.
    collected INTEGER,
    CHECK ((state = 'finished') = (outcome IS NOT NULL)),
    CHECK ((state = 'finished') = (ended_at IS NOT NULL)),
    CHECK (outcome IS NOT 'succeeded' OR exit_code IS 0),
    CHECK ((limit_name IS NULL) = (limit_value IS NULL)),
    CHECK (state NOT IN ('starting', 'running') OR instance IS NOT NULL),
    CHECK (state <> 'running' OR started_at IS NOT NULL)
) STRICT;
CREATE TABLE debug_runs (
    id TEXT PRIMARY KEY,
    command_id TEXT NOT NULL UNIQUE REFERENCES commands (id),
    session_id TEXT NOT NULL REFERENCES sessions (id),
    principal TEXT NOT NULL,
    asked TEXT NOT NULL CHECK (json_valid(asked)),
    view TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(view)),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE environments (
    id TEXT PRIMARY KEY,
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'building', 'ready', 'failed')),
    outputs TEXT NOT NULL CHECK (json_valid(outputs)),
    command_id TEXT UNIQUE REFERENCES commands (id),
    size INTEGER NOT NULL DEFAULT 0 CHECK (size >= 0),
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    CHECK (state <> 'building' OR command_id IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('compare', 'flaky', 'bisect')),
    principal TEXT NOT NULL,
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    state TEXT NOT NULL CHECK (state IN ('running', 'finished')),
    instance TEXT NOT NULL,
    asked TEXT NOT NULL CHECK (json_valid(asked)),
    progress TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(progress)),
    result TEXT CHECK (result IS NULL OR json_valid(result)),
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((state = 'finished') = (result IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency_keys (
    principal TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    object_id TEXT NOT NULL,
    PRIMARY KEY (principal, operation, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE repositories (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('cloning', 'ready', 'syncing', 'failed', 'removed')),
    created_at INTEGER NOT NULL,
    head_ref TEXT,
    head_commit TEXT,
    -- Of a clone that failed; of another one, the last fetch that did.
    error TEXT,
    synced_at INTEGER,
    default_ref TEXT,
    depth INTEGER CHECK (depth > 0),
    setup TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(setup)),
    artifacts TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(artifacts)),
    env TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(env)),
    CHECK (state <> 'failed' OR error IS NOT NULL)
) STRICT;
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    repository_id TEXT NOT NULL REFERENCES repositories (id),
    principal TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('preparing', 'ready', 'closing', 'closed', 'failed')),
    ref TEXT NOT NULL,
    base TEXT NOT NULL,
    isolation TEXT NOT NULL CHECK (isolation IN ('bwrap', 'landlock', 'none')),
    instance TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    patch_digest TEXT,
    closed_why TEXT,
    exported_ref TEXT,
    name TEXT,
    env TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(env)),
    -- Its end at the latest; and how long it may go unused, counted from the last use.
    expires_at INTEGER,
    idle_seconds INTEGER CHECK (idle_seconds > 0),
    used_at INTEGER,
    closed_at INTEGER,
    -- What its set-up builds, or another session's did. Of a closed one it may be gone.
    environment TEXT,
    CHECK ((state = 'closed') = (closed_why IS NOT NULL))
) STRICT;
CREATE TABLE sqlite_sequence(name,seq);
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    command_id TEXT NOT NULL REFERENCES commands (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
    scopes TEXT NOT NULL CHECK (json_valid(scopes)),
    repositories TEXT CHECK (repositories IS NULL OR json_valid(repositories)),
    requests_per_second REAL CHECK (requests_per_second > 0),
    requests_at_once INTEGER CHECK (requests_at_once > 0),
    network TEXT CHECK (network IN ('off', 'setup', 'ask', 'on')),
    -- The token that it was made with; null for the command line.
    made_by TEXT REFERENCES tokens (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- When its present secret was made, where that is not its first one.
    rotated_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX artifacts_by_principal ON artifacts (principal, created_at);
CREATE INDEX audit_by_principal ON audit (principal, number);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX commands_by_principal ON commands (principal, accepted_at);
CREATE INDEX commands_by_session ON commands (principal, session_id, accepted_at);
CREATE INDEX commands_by_session_start ON commands (principal, session_id, started_at);
CREATE INDEX commands_by_start ON commands (principal, started_at);
CREATE UNIQUE INDEX commands_setup ON commands (session_id) WHERE kind = 'setup';
CREATE INDEX commands_unfinished ON commands (session_id, accepted_at) WHERE state <> 'finished';
CREATE INDEX debug_runs_by_principal ON debug_runs (principal, created_at);
CREATE INDEX evidence_by_principal ON evidence (principal, created_at);
CREATE INDEX evidence_running ON evidence (id) WHERE state = 'running';
CREATE UNIQUE INDEX repositories_by_name ON repositories (name) WHERE state <> 'removed';
CREATE INDEX sessions_by_environment ON sessions (environment) WHERE environment IS NOT NULL;
CREATE UNIQUE INDEX sessions_by_name ON sessions (principal, name)
    WHERE name IS NOT NULL AND state NOT IN ('closed', 'failed');
CREATE INDEX sessions_by_principal ON sessions (principal, state);
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;
