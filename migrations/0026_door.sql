-- How a repo that is read in stretches stands between two of them.
alter table repo
  add column resync_at   timestamptz, -- when its last stretch was applied: one that is long ago lost its reader
  add column resync_held integer not null default 0, -- records that we held of it where it is read already
  add column resync_lost integer not null default 0; -- of those, the ones that are gone

-- Operators and the resync queue ask only for the repos in trouble, which are few.
drop index repo_state_idx;
create index repo_state_idx on repo (state) where state in ('desynchronized', 'resyncing');
