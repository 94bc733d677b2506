-- What operators and fm.plyr.sync.getStatus ask must not cost more as the tables grow.

-- Repos are counted by state from this index alone. It costs the commits nothing: a repo's state seldom changes, and an
-- update that changes no indexed column leaves the indexes alone.
drop index repo_state_idx;
create index repo_state_idx on repo (state);

-- The dead are few and kept for a month; those that wait and those that run have indexes of their own.
create index job_dead_idx on job (kind, created_at) where state = 'dead';

-- Kinds are stepped through, each counted up to a limit and listed newest first; a flood of one kind is as cheap as none.
create index problem_kind_idx on problem (kind, id);

-- How often it was tried to settle what was kept aside; what is settled is deleted.
alter table problem
  add column attempts integer not null default 0,
  add column tried_at timestamptz; -- the last time
