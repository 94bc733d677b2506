-- Reading many repos as a whole, written down while it goes on, so that it continues where it was killed.
create table backfill (
  key        text collate "C" primary key, -- what is read: a host's origin, or the digest of the accounts named
  listing    text        not null default 'new', -- how far the host's list is: see the check
  collection text collate "C", -- the collection that is being listed, where the host lists by collection
  cursor     text collate "C", -- where the list's next page begins
  listed     bigint      not null default 0, -- accounts on the list so far
  skipped    bigint      not null default 0, -- of those, the ones that need no look: each has no row of its own
  started_at timestamptz not null default clock_timestamp(),
  ended_at   timestamptz, -- null = under way, or killed
  constraint backfill_listing_known check (listing in ('new', 'collections', 'repos', 'done'))
);

create table backfill_repo (
  key      text collate "C" not null references backfill on delete cascade,
  did      text collate "C" not null,
  state    text             not null default 'waiting',
  is_known boolean          not null, -- that it has records of ours; else its host is asked before it is read
  attempts integer          not null default 0,
  run_at   timestamptz      not null default now(), -- not before
  reason   text,            -- why it could not be had, as a name to group by
  detail   text,
  primary key (key, did),
  constraint backfill_repo_state_known check (state in ('waiting', 'read', 'skipped', 'failed'))
);

-- The next ones to read, however many are done.
create index backfill_repo_waiting_idx on backfill_repo (key, run_at) where state = 'waiting';
