-- Sign-ins under way. Taken by deleting, so that each is finished once.
create table oauth_flow (
  state_hash bytea primary key, -- SHA-256 of the state that travels
  did        text collate "C" not null, -- who is expected to come back
  sealed     bytea       not null, -- PKCE verifier, DPoP key, issuer, where to return
  expires_at timestamptz not null
);
create index oauth_flow_expiry_idx on oauth_flow (expires_at);

-- Sessions on their way to a web app of another origin, for a minute.
create table exchange_token (
  token_hash bytea primary key, -- SHA-256 of the token in the URL
  session_id bytea       not null references session on delete cascade,
  did        text collate "C" not null,
  sealed     bytea       not null, -- the session's own token
  expires_at timestamptz not null
);
create index exchange_token_expiry_idx on exchange_token (expires_at);
create index exchange_token_session_idx on exchange_token (session_id);

-- What a confidential client proves itself with. Several may stand side by side: a grant remembers the one it was made with.
create table oauth_client_key (
  kid        text collate "C" primary key, -- as published
  sealed     bytea       not null,
  created_at timestamptz not null default now()
);
