-- What moved, for open pages: a transaction writes its rows under one generation and notifies that number.
-- Unlogged: after a crash every page asks anew, so nothing here is worth a write-ahead log.
create unlogged table live_change (
  generation bigint not null,
  uri        text collate "C" not null, -- of a track
  reorders   boolean not null,          -- the latest feed itself gained or lost it
  created_at timestamptz not null default now(),
  primary key (generation, uri)
);
-- Old generations are swept by age.
create index live_change_age_idx on live_change (created_at);
create sequence live_generation;
