-- A ledger at schema 1, as a server of that time left it.
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "artifacts" VALUES('a_2222','s_2222','local','build/junit.xml','junit','text/xml',12,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1767355205000000);
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
INSERT INTO "commands" VALUES('c_2222','s_2222','local','queued','{"session_id":"s_2222","command":"pytest -q","cwd":".","env":{},"timeout_seconds":600.0,"idle_timeout_seconds":null,"wait_seconds":20.0,"network":false,"idempotency_key":null}',0,'run',1767355202000002,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "commands" VALUES('c_2223','s_2222','local','starting','{"session_id":"s_2222","command":"pytest -q","cwd":".","env":{},"timeout_seconds":600.0,"idle_timeout_seconds":null,"wait_seconds":20.0,"network":false,"idempotency_key":null}',0,'run',1767355202000003,'0a1b2c3d',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "commands" VALUES('c_2224','s_2222','local','running','{"session_id":"s_2222","command":"pytest -q","cwd":".","env":{},"timeout_seconds":600.0,"idle_timeout_seconds":null,"wait_seconds":20.0,"network":false,"idempotency_key":null}',0,'run',1767355202000004,'0a1b2c3d',0,1767355203000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "commands" VALUES('c_2225','s_2222','local','finished','{"session_id":"s_2222","command":"pytest -q","cwd":".","env":{},"timeout_seconds":600.0,"idle_timeout_seconds":null,"wait_seconds":20.0,"network":false,"idempotency_key":null}',0,'run',1767355202000005,'0a1b2c3d',0,1767355203000000,1767355204000000,'failed',1,1.0,0.5,1048576,0,12,NULL,0,NULL,NULL,NULL,NULL);
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    command_id TEXT NOT NULL REFERENCES commands (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE debug_runs (
    id TEXT PRIMARY KEY,
    command_id TEXT NOT NULL UNIQUE REFERENCES commands (id),
    session_id TEXT NOT NULL REFERENCES sessions (id),
    principal TEXT NOT NULL,
    asked TEXT NOT NULL CHECK (json_valid(asked)),
    view TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(view)),
    created_at INTEGER NOT NULL
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
INSERT INTO "idempotency_keys" VALUES('local','command_run','once','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','c_2225');
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
INSERT INTO "repositories" VALUES('r_2222','calculator','/home/ada/calculator','ready',1767355200000000,'main','1111111111111111111111111111111111111111',NULL,1767355200500000,NULL,NULL,'[]','[]','{}');
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
INSERT INTO "environments" VALUES('e_00112233445566778899aabbccddeeff','r_2222','ready','["node_modules"]',NULL,4096,1767355201000000,1767355201000000);
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
INSERT INTO "sessions" VALUES('s_2222','r_2222','local','ready','main','1111111111111111111111111111111111111111','bwrap','0a1b2c3d',1767355201000000,NULL,NULL,NULL,NULL,'{}',1767960001000000,86400,1767355201000000,NULL,'e_00112233445566778899aabbccddeeff');
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
INSERT INTO "tokens" VALUES('t_2222','ci','ci','9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08','["session:read"]',NULL,NULL,NULL,NULL,NULL,1767355200000000,NULL,NULL,1767355201000000,NULL);
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX repositories_by_name ON repositories (name) WHERE state <> 'removed';
CREATE INDEX sessions_by_environment ON sessions (environment) WHERE environment IS NOT NULL;
CREATE INDEX sessions_by_principal ON sessions (principal, state);
CREATE UNIQUE INDEX sessions_by_name ON sessions (principal, name)
    WHERE name IS NOT NULL AND state NOT IN ('closed', 'failed');
CREATE INDEX commands_unfinished ON commands (session_id, accepted_at) WHERE state <> 'finished';
CREATE UNIQUE INDEX commands_setup ON commands (session_id) WHERE kind = 'setup';
CREATE INDEX commands_by_principal ON commands (principal, accepted_at);
CREATE INDEX commands_by_session ON commands (principal, session_id, accepted_at);
CREATE INDEX commands_by_start ON commands (principal, started_at);
CREATE INDEX commands_by_session_start ON commands (principal, session_id, started_at);
CREATE INDEX evidence_by_principal ON evidence (principal, created_at);
CREATE INDEX evidence_running ON evidence (id) WHERE state = 'running';
CREATE INDEX debug_runs_by_principal ON debug_runs (principal, created_at);
CREATE INDEX artifacts_by_principal ON artifacts (principal, created_at);
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
INSERT INTO "audit" VALUES(1,1767355201000000,'local',NULL,'token_create','t_2222','done',0.01,'00112233aabbccdd',NULL);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_principal ON audit (principal, number);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
COMMIT;
