-- Each kind of what can be found has words of its own: few playlists are found among few, however many tracks there are.
drop index search_entry_words_idx;
create index search_entry_track_words_idx on search_entry using gin (words) where kind = 1;
create index search_entry_artist_words_idx on search_entry using gin (words) where kind = 2;
create index search_entry_album_words_idx on search_entry using gin (words) where kind = 3;
create index search_entry_playlist_words_idx on search_entry using gin (words) where kind = 4;
create index search_entry_tag_words_idx on search_entry using gin (words) where kind = 5;

-- Words do not name their kind any more.
insert into search_due (kind, key) select kind, key from search_entry;
