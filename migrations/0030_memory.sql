-- Who writes without waiting for the disk, and would have to know of a crash: Postgres empties an unlogged table then, and
-- only then. (So does a replica that takes over.)
create unlogged table memory (
  id       text collate "C" primary key,
  began_at timestamptz not null default now()
);
