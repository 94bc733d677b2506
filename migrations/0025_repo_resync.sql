-- A repo that is read as a whole comes in stretches, each a transaction of its own: how far it has come.
alter table repo
  add column resync_rev  text collate "C", -- the rev that is being read; null = none
  add column resync_upto text collate "C"; -- everything up to this URI is settled against it

alter table repo drop constraint repo_state_known;
alter table repo add constraint repo_state_known
  check (state in ('unknown', 'synchronized', 'desynchronized', 'resyncing'));

-- Who said it, where nothing proves it yet: a source's key, or 'local' for a write of ours. Null = proven.
alter table record add column reported_by text collate "C";
