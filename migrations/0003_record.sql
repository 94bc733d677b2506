-- The truth: every record of ours as the network signed it. All else is derived from this table.
create table record (
  uri           text collate "C" primary key, -- at://did/collection/rkey
  did           text collate "C" not null,
  collection    text collate "C" not null,
  rkey          text collate "C" not null,
  epoch         integer     not null,
  rev           text collate "C" not null,
  proven        boolean     not null, -- a signed commit and its MST path were checked; false = somebody reported it
  cid           text collate "C",     -- null = deleted
  value         bytea,                -- DAG-CBOR exactly as hashed into cid; null = deleted (the row stays as tombstone)
  problem       text,                 -- why it has no projection; null = projected
  problem_detail text,
  first_seen_at timestamptz not null default now(),
  indexed_at    timestamptz not null default now(),
  constraint record_cid_with_value check ((cid is null) = (value is null))
);

-- Resync, rebuild and erasure walk one repo at a time; the collection narrows a profile look-up.
create index record_did_idx on record (did, collection);
-- Operators list what was kept aside; almost no row has a problem.
create index record_problem_idx on record (problem) where problem is not null;
