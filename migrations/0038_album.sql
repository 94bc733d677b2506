-- Albums: what one artist calls by one name, be it a list of theirs (fm.plyr.list, listType album) or what their tracks say they
-- belong to. Neither number nor slug is ever given twice: pages and players keep them. No rebuild touches this.
create table album (
  id       uuid primary key default gen_random_uuid(),
  did      text collate "C" not null,        -- whose
  slug     text collate "C" not null,        -- its present one; others lead to it
  list_uri text collate "C" unique,          -- none where only tracks speak of it
  given_at timestamptz not null default now()
);
-- All albums of one artist.
create index album_did_idx on album (did);

-- What albums were ever called: `first-light`; `first-light-2` where somebody has two of that name.
create table album_slug (
  did   text collate "C" not null,
  slug  text collate "C" not null,
  album uuid not null references album on delete cascade,
  base  text collate "C" not null, -- what the name alone makes
  n     integer not null,          -- 1 for the first of that name, unless another name made its slug
  ascii text collate "C",          -- what servers make of the name that know a to z only, where that is another
  primary key (did, slug)
);
-- Whether a name is taken, and how often; what an address from such a server means; what an album was called before.
create index album_slug_base_idx on album_slug (did, base, n);
create index album_slug_ascii_idx on album_slug (did, ascii) where ascii is not null;
create index album_slug_album_idx on album_slug (album);

-- The pages of albums, and our own, are named without their host from now on; our own are renamed at start, which knows the host.
insert into page_name (page, uri)
select '/u/' || lower(split_part(page, '/', 3)) || '/album/' || replace(lower(split_part(page, '/', 5)), ' ', '-'), uri
  from page_name where page like '%/u/%/album/%'
on conflict do nothing;
delete from page_name where page like '%/u/%/album/%' and page not like '/%';

-- The base of the name that a track gives its album; rows of before get theirs by `plyr rebuild`.
alter table track add album_base text collate "C";
-- The tracks of an album.
create index track_album_idx on track (did, album_base, sort_at, uri) where album_base is not null;
