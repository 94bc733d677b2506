-- Where we read the network from, and how far we have come.
create table source (
  key            text collate "C" primary key, -- scheme and host as configured, e.g. repos+wss://bsky.network
  cursor         bigint,      -- highest seq with nothing unfinished before it, in the order received; null = never connected
  connected_at   timestamptz, -- first successful connection
  owed_at        timestamptz not null default now(), -- when it last became necessary to read its repos as a whole
  backfilled_at  timestamptz, -- when that was last done; null = still owed
  updated_at     timestamptz not null default now()
);
