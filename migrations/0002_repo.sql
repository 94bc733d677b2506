-- What we hold of one account's repo, and how well it is proven.
create table repo (
  did          text collate "C" primary key,
  -- Counts restores of the account's host to an older state: (epoch, rev) orders all that happened.
  epoch        integer     not null default 0,
  rev          text collate "C", -- head of the commit chain we follow; null = none seen
  seen_rev     text collate "C", -- newest rev that anything proved
  trail        text[]      not null default '{}', -- while desynchronized: that chain's revs since its last gap
  data_root    text collate "C", -- CID of the MST root at rev
  state        text        not null default 'unknown',
  synced_rev   text collate "C", -- a whole repo was read at this rev: anything at or before it is stale
  verified_at  timestamptz,
  first_seen_at timestamptz not null default now(),
  constraint repo_state_known check (state in ('unknown', 'synchronized', 'desynchronized'))
);

-- Operators and the resync queue ask only for the repos in trouble, which are few.
create index repo_state_idx on repo (state) where state = 'desynchronized';
