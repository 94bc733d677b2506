-- What a track is shown by: our copy of its picture; where that is not here, the address that its record gives, if pages may be sent
-- there (appview/src/foreign.rs looks at it once more). Postgres writes it into the queries that call it.
create function picture(cid text, address text) returns text language sql immutable parallel safe
return coalesce(cid, case when octet_length(address) <= 2048 and address ~ '^https://[^/?#@[:space:]]+([/?#]|$)' then address end);
