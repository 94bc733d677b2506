-- Events that could not be read or applied, kept aside with their bytes so that nothing is lost silently.
create table problem (
  id         bigint generated always as identity primary key,
  kind       text        not null, -- a named problem, e.g. BadSignature
  source     text collate "C",     -- source.key, or null for what we fetched ourselves
  seq        bigint,               -- of that source
  did        text collate "C",
  uri        text collate "C",
  detail     text        not null,
  bytes      bytea,                -- the frame or record as received, when within limits
  created_at timestamptz not null default now()
);

-- After a crash the stream is read again: the same event must not be kept aside twice.
create unique index problem_once_idx on problem (source, seq, kind, coalesce(uri, '')) where seq is not null;
-- Operators ask for the newest, and for one account's.
create index problem_did_idx on problem (did, id) where did is not null;
