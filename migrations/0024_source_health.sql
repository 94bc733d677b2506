-- How a source is doing: written by the process that reads it, told by those that serve.
alter table source
  add column connected     boolean not null default false, -- by its reader's last word; see heard_at
  add column heard_at      timestamptz, -- last event of any kind, by our clock
  add column event_at      timestamptz, -- that event's own time: the difference is the lag
  add column ours_at       timestamptz, -- last event of a collection of ours, by our clock
  add column gaps          bigint not null default 0, -- times its numbers jumped or it did not reach back to the cursor
  add column gap_at        timestamptz, -- the last of these
  add column divergences   bigint not null default 0, -- reports of it that a proof refuted
  add column blind_since   timestamptz, -- it lives, but what others bring of our collections it does not; null = no alarm
  add column compare_owed_at timestamptz not null default now(), -- since when our revs are to be compared with the network's
  add column compared_at   timestamptz; -- when that was last done completely
