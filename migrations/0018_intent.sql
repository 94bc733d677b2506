-- What people asked us to write to their repos: one row per wish, e.g. "like of this track", in which a later wish takes
-- the place of an earlier one. Kept after it is settled: the next wish of the same kind reuses the record's name.
create table intent (
  did            text collate "C" not null,
  action         text collate "C" not null, -- 'like <subject>', 'upload <id>', or the uri that is edited or deleted
  generation     bigint      not null,      -- counts wishes; the newest is the one below
  op             text        not null,
  uri            text collate "C" not null, -- the record, its key reserved before the first write
  value          bytea,       -- DAG-CBOR to put; null for a delete
  cid            text collate "C", -- of value
  swap_cid       text collate "C", -- an update's: the version that it was made from
  put_cid        text collate "C", -- what was last sent to be put at uri; null = nothing yet
  session        bytea       not null, -- whose grant writes
  settled        bigint      not null default 0, -- the generation whose outcome stands
  outcome        text,
  problem        jsonb,       -- why it was refused: {status, error, message}
  lessee         bytea,       -- who writes it to the PDS just now: a random word of theirs
  leased_until   timestamptz, -- past = they died
  is_putting     boolean     not null default false, -- whoever has the lease, or died with it, may send a put
  unanswered     integer     not null default 0, -- puts without an answer that may land yet
  doubtful_until timestamptz, -- until then
  wished_at      timestamptz not null,
  primary key (did, action),
  constraint intent_op_known check (op in ('create', 'update', 'delete')),
  constraint intent_outcome_known check (outcome in ('written', 'gone', 'refused', 'conflict')),
  constraint intent_value_with_put check ((value is null) = (op = 'delete'))
);

-- What is owed is a handful among all that was ever wished; the sweep asks for it.
create index intent_open_idx on intent (wished_at) where settled < generation;
-- A record that was reported and is not proven yet is few and young; the sweep asks for those that stay so.
create index record_reported_idx on record (indexed_at) where not proven;
