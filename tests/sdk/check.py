"""What programs do with the Python SDK that is published, done against a plyr that runs.

Reads what there is as JSON from its standard input; ends with an error where something is otherwise.
"""

import asyncio
import json
import sys

from plyrfm import AsyncPlyrClient, PlyrClient


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def reads(api, world):
    """Everything that anybody may ask."""
    uri = world["track"]
    listed = api.tracks.list(limit=100)
    track = next(track for track in listed if track.atproto_uri == uri)
    same(api.tracks.get(track.id), track)
    same(api.tracks.get(uri), track)
    same((track.title, track.artist_handle), (world["title"], world["artist"]["handle"]))
    same((track.album.title, track.album.slug), (world["album"], world["slug"]))
    same((track.like_count, track.tags), (1, [world["tag"]]))
    assert track.file_id and track.audio_url and track.created_at, track

    tag = next(tag for tag in api.tags.list(q=world["tag"]) if tag.name == world["tag"])
    same(tag.track_count, 1)
    same([found.id for found in api.tags.tracks(world["tag"])], [track.id])

    playlist = next(iter(api.playlists.by_artist(world["fan"]["did"])))
    same((playlist.name, playlist.track_count), (world["playlist"], 1))
    same([item.id for item in api.playlists.get(playlist.id).tracks], [track.id])

    same([found.id for found in api.discover.top_tracks() if found.atproto_uri == uri], [track.id])
    for words, kind in [
        (world["title"], "track"),
        (world["artist"]["handle"], "artist"),
        (world["album"], "album"),
        (world["playlist"], "playlist"),
        (world["tag"], "tag"),
    ]:
        found = api.discover.search(words)
        assert kind in [result.type for result in found.results], (words, found)
        assert found.counts[f"{kind}s"] >= 1, found.counts
    return track


def writes(api, world, track):
    """What somebody does who is signed in."""
    same(api.artists.me().did, world["fan"]["did"])
    same([liked.id for liked in api.tracks.liked()], [track.id])
    same([playlist.name for playlist in api.playlists.list()], [world["playlist"]])
    api.tracks.unlike(track.id)
    same(api.tracks.liked(), [])
    api.tracks.like(world["track"])
    same([liked.id for liked in api.tracks.liked()], [track.id])

    made = api.tracks.upload(world["file"], "by program", tags={"by program"}, description="said so")
    mine = next(track for track in api.tracks.my() if track.id == made.track_id)
    same((mine.title, mine.tags, mine.description), ("by program", ["by program"], "said so"))
    api.tracks.delete(made.track_id)
    same(api.tracks.my(), [])


async def at_once(url, track):
    async with AsyncPlyrClient(api_url=url) as api:
        both = await asyncio.gather(api.tracks.get(track.id), api.tracks.get_by_uri(track.atproto_uri))
        same(both, [track, track])


def main():
    world = json.load(sys.stdin)
    track = reads(PlyrClient(api_url=world["url"]), world)
    writes(PlyrClient(api_url=world["url"], token=world["token"]), world, track)
    asyncio.run(at_once(world["url"], track))


main()
