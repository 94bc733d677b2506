-- What more anonymous listeners of a track from one network and day heard than count in charts: an event and a play like any
-- other, and nothing that a chart looks at. No network is kept of it: the index that counts listeners of a network holds those
-- few that were not of a crowd.
alter table play_event add column crowded boolean not null default false;
