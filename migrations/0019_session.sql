-- Who is signed in, and the grants by which we act for them at their PDS. Not rebuilt from records. Nothing here is of use to
-- who reads it: ids are hashes, and what would be a credential is sealed with a key that is not in this database.
create table session (
  id            bytea primary key, -- SHA-256 of the token that a browser or program holds
  did           text collate "C" not null,
  is_developer  boolean     not null default false, -- a token for programs, made on purpose
  name          text,              -- what its owner calls it
  sealed        bytea,             -- tokens, DPoP key, scope; bound to id and did; null = the grant is dead
  version       bigint      not null default 0, -- counts refreshes: a refresh token is for one use
  access_expires_at timestamptz not null,       -- of the access token inside
  -- One process at a time may use the refresh token. A lease, not a lock: no transaction stays open while a server thinks.
  lease         bigint,
  lease_until   timestamptz,
  created_at    timestamptz not null default now(),
  expires_at    timestamptz not null,
  ended_at      timestamptz,       -- when its grant was found dead; kept for a while to tell its owner so
  constraint session_ended_without_grant check ((ended_at is null) = (sealed is not null))
);

-- Work that outlives a request asks for somebody's newest session; lists of developer tokens read it too.
create index session_did_idx on session (did, created_at desc);
create index session_expiry_idx on session (expires_at);
