-- Work that a change causes and that may take time: enqueued in the transaction that causes it.
create table job (
  id           bigint generated always as identity primary key,
  kind         text        not null,
  key          text collate "C" not null, -- what it is about, e.g. a DID; one waiting job per (kind, key)
  state        text        not null default 'queued',
  attempts     integer     not null default 0, -- counted when claimed, so that a crash counts too
  run_at       timestamptz not null default now(),
  locked_until timestamptz, -- lease of the worker that claimed it; past = the worker died
  last_error   text,
  created_at   timestamptz not null default now(),
  constraint job_state_known check (state in ('queued', 'running', 'dead'))
);

-- A second wish for work that already waits is the same wish; one that arrives while it runs is a new one.
create unique index job_waiting_idx on job (kind, key) where state = 'queued';
-- Claiming takes the oldest that is due, kind by kind: downloads must not keep confirmations waiting.
create index job_due_idx on job (kind, run_at) where state = 'queued';
create index job_lease_idx on job (locked_until) where state = 'running';
