// The records of the community in their lexicons' shapes. Every function gives a value without its `$type`.

const iso = (ms) => new Date(ms).toISOString();
const TEN_MINUTES = 600_000;

/** app.bsky.actor.profile */
export function bskyProfile(person, avatar) {
  return { displayName: person.name, description: person.description, avatar };
}

/** fm.plyr.actor.profile */
export function plyrProfile(person, createdAtMs) {
  return { bio: person.bio ?? person.description, createdAt: iso(createdAtMs) };
}

/** fm.plyr.track; `dids` maps handles to DIDs. */
export function trackRecord(track, audio, image, people) {
  const features = track.features.map((handle) => {
    const { did, name } = people.get(handle);
    return { did, handle, displayName: name };
  });
  return clean({
    title: track.title, artist: track.artist.name, album: track.album, duration: track.duration, fileType: track.format,
    audioBlob: audio, image, features: features.length ? features : undefined, description: track.description,
    tags: track.tags, createdAt: iso(track.createdAtMs),
  });
}

/** fm.plyr.like */
export const likeRecord = (subject, atMs) => ({ subject, createdAt: iso(atMs) });

/** fm.plyr.comment */
export const commentRecord = (subject, { text, timestampMs, atMs }) => ({ subject, text, timestampMs, createdAt: iso(atMs) });

/** fm.plyr.list */
export const listRecord = ({ name, type, atMs }, subjects) => ({
  name, listType: type, items: subjects.map((subject) => ({ subject })), createdAt: iso(atMs),
});

// What teal says of one listening; `did` and `rkey` are the track's.
function playView(track, { publicUrl, did, rkey }) {
  return clean({
    trackName: track.title, artists: [{ artistName: track.artist.name }], releaseName: track.album, duration: track.duration,
    originUri: `${publicUrl}/track/${did}/${rkey}`, musicServiceUri: 'https://plyr.fm', submissionClientAgent: 'plyr/0.1',
  });
}

/** fm.teal.feed.play */
export const playRecord = (track, where, atMs) => ({ ...playView(track, where), playedTime: iso(atMs) });

/** fm.teal.alpha.feed.play: the shape clients wrote before the stable lexicon. */
export function alphaPlayRecord(track, where, atMs) {
  const { originUri, musicServiceUri, artists, ...rest } = playView(track, where);
  return {
    ...rest, artists, artistNames: artists.map((artist) => artist.artistName), originUrl: originUri,
    musicServiceBaseDomain: 'plyr.fm', playedTime: iso(atMs),
  };
}

/** fm.teal.actor.status */
export const statusRecord = (track, where, atMs) => ({
  time: iso(atMs), expiry: iso(atMs + TEN_MINUTES), item: { ...playView(track, where), playedTime: iso(atMs) },
});

/** fm.teal.alpha.actor.status: times as unix seconds in a string. */
export function alphaStatusRecord(track, where, atMs) {
  const unix = (ms) => String(Math.floor(ms / 1000));
  return { time: unix(atMs), expiry: unix(atMs + TEN_MINUTES), item: alphaPlayRecord(track, where, atMs) };
}

function clean(value) {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
