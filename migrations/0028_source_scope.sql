-- What a source's silence means: a PDS brings nobody's events but those of its own accounts.
alter table source
  add column is_pds boolean not null default false,
  add column ours   jsonb not null default '{}'; -- the newest event of ours in each namespace, by its own time

-- The newest of our own writes, which every source should bring back.
create index intent_written_idx on intent (wished_at desc) where outcome = 'written';
