-- Numbers by which this server's HTTP API names things. Append-only, and no rebuild touches it: a number in somebody's
-- bookmark must name the same thing for ever, also after it was deleted and came back.
create table public_id (
  id   bigint generated always as identity primary key,
  kind text             not null, -- 'track', 'comment'
  uri  text collate "C" not null,
  unique (kind, uri) -- views look a page of things up by their uris
);
insert into public_id (kind, uri) select 'track', uri from track order by sort_at, uri;
insert into public_id (kind, uri) select 'comment', uri from comment order by created_at, uri;
