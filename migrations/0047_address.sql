-- /audio/{file_id} of a track that gives only an address for its sound: 64 bits of the address in place of those of bytes. By md5, as of
-- what Postgres has only that takes text without asking for its encoding, and so may stand in an index; whoever finds two addresses that
-- share it has only made two of their own. Few tracks have no blob, and each of them is asked for by this alone.
create index track_address_idx on track (left(md5(audio_url), 16)) where audio_cid is null and audio_url is not null;
