-- How a repo that is read in stretches stands between two of them.
alter table repo
  add column resync_at   timestamptz, -- when its last stretch was applied: one that is long ago lost its reader
  add column resync_held integer not null default 0, -- records that we held of it where it is read already
  add column resync_lost integer not null default 0; -- of those, the ones that are gone

-- Operators and the resync queue ask only for the repos in trouble, which are few.
drop index repo_state_idx;
create index repo_state_idx on repo (state) where state in ('desynchronized', 'resyncing');

-- Written at every commit: room for the next version beside the last one spares the indexes.
alter table repo set (fillfactor = 50);
alter table subject_count set (fillfactor = 70);

-- Everything of one person is one range of a URI's index, from at://did/ to at://did0 ('0' follows '/'). Indexes that said the
-- same by DID cost every change and served only what is rare: resync, erasure, a change of status.
drop index plyr_like_did_idx;
drop index comment_did_idx;
-- What is reported and not proven is few and young; its proof asks by DID, the sweep for those that stay so.
drop index record_reported_idx;
create index record_unproven_idx on record (did, indexed_at) where not proven;
