-- A person: who they say they are, where they live, and whether they may be seen.
create table actor (
  did           text collate "C" primary key,
  handle        text collate "C", -- verified both ways; null = none, or it did not verify
  pds           text collate "C", -- origin of the current PDS, from the DID document
  status        text        not null default 'active', -- confirmed at the current PDS
  active        boolean     not null generated always as (status = 'active') stored,
  pending_status text,            -- what some host said last and nobody confirmed yet
  pending_since timestamptz,      -- when it was said: an answer to an older question does not settle it
  resolved_at   timestamptz,      -- last successful look at the DID document
  first_seen_at timestamptz not null default now(),
  constraint actor_status_known check (status in ('active', 'deactivated', 'suspended', 'takendown', 'deleted'))
);

-- getProfile and links name people by handle. Not unique: a handle moves, and the old holder learns of it later.
create index actor_handle_idx on actor (handle) where handle is not null;
