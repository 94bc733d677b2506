-- Search: what everything that can be found is called. Kept by one worker from what the door notes in `search_due`; `plyr rebuild`
-- makes all of it anew from the records.
create extension if not exists pg_trgm;

-- What is to be looked at anew. Without a key: notes are many and short-lived, and the worker takes each once.
create table search_due (
  kind smallint not null,
  key  text collate "C" not null
);

-- One thing that can be found.
create table search_entry (
  id    bigint generated always as identity primary key,
  kind  smallint not null,                -- 1 track, 2 artist, 3 album, 4 playlist, 5 tag
  key   text collate "C" not null,        -- uri, DID, uuid, uri, tag
  did   text collate "C",                 -- whose: they must be active for it to be found. None for tags
  name  text collate "C" not null,        -- folded: no case, no accents, single spaces
  words tsvector not null,                -- all that it is called, its artist and album too; and `#` with its kind
  rank  smallint not null default 0,      -- how often it is liked and heard, by powers of two; renewed every hour
  unique (kind, key)
);
-- Things by several words in any order.
create index search_entry_words_idx on search_entry using gin (words);

-- Each place where a word of its name begins, with what follows: whatever is typed of a name, from any word on, is a range of it.
create table search_start (
  entry bigint not null references search_entry on delete cascade,
  start text collate "C" not null,        -- at most 32 characters
  kind  smallint not null,
  place smallint not null,                -- 0 the name begins here, 1 a later word, 2 another name, 3 the name without spaces
  rank  smallint not null,                -- as in search_entry
  primary key (entry, start)
);
-- Whatever begins so.
create index search_start_range_idx on search_start (kind, start);
-- One, two, three characters are the beginning of very many: the best of them first, read no further than the page is long.
create index search_start_1_idx on search_start (kind, left(start, 1), place, rank desc, entry);
create index search_start_2_idx on search_start (kind, left(start, 2), place, rank desc, entry);
create index search_start_3_idx on search_start (kind, left(start, 3), place, rank desc, entry) include (start);

-- Every word that anything was ever called by, for who types another.
create table search_word (
  word text collate "C" primary key
);
-- Words that share much with what was typed, or have it inside.
create index search_word_trigram_idx on search_word using gin (word gin_trgm_ops);

-- Each word without one of its characters, and as it is: two words that are one slip apart (a character too many, too few,
-- another, two exchanged) share such a form.
create table search_slip (
  form text collate "C" not null,
  word text collate "C" not null,
  primary key (form, word)
);

-- What is there now.
insert into search_due (kind, key)
select 1, uri from track
union all select 2, did from (select did from track union select did from profile) as artist
union all select 3, id::text from album
union all select 4, uri from list where list_type = 'playlist'
union all select 5, tag from tag_count;
