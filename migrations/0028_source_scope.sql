-- What a source's silence means: a PDS brings nobody's events but those of its own accounts.
alter table source
  add column is_pds boolean not null default false,
  add column ours   jsonb not null default '{}'; -- the newest event of ours in each namespace, by its own time
