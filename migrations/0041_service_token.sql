-- Service tokens that were used. One that changes something, or shows what is its owner's alone to see, is good for one use,
-- in any process over this database and after a restart. What only reads what everybody may read does not come here.
-- Not rebuilt from records. A row is of no use to who reads it: it is a hash.
create table service_token (
  id      bytea primary key, -- SHA-256 of the issuer and what they call the token (jti); else of all that was signed
  ends_at timestamptz not null -- after it the token is refused anyway, and the row goes; an hour away at most
);
create index service_token_ends_idx on service_token (ends_at);
