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

-- A handle that cannot be looked up is shown for a while longer, and everybody is looked at again now and then: what a
-- domain says may change without an event.
alter table actor
  add column handle_at timestamptz, -- when the handle was last verified; null = there is none
  add column looked_at timestamptz; -- last look at the DID document, successful or not
update actor set handle_at = case when handle is not null then coalesce(resolved_at, now()) end, looked_at = resolved_at;
create index actor_looked_idx on actor (looked_at) where status <> 'deleted';
-- An erased account's sign-ins and places in lists are found by these.
create index oauth_flow_did_idx on oauth_flow (did);
create index backfill_repo_did_idx on backfill_repo (did);
