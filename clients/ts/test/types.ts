// What the compiler must refuse, and what it must know. Nothing here is run.

import { type PlyrClient, fm, isError } from 'plyr-client'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T => true as T

export async function checked(plyr: PlyrClient, uri: `at://${string}`): Promise<void> {
  const { body } = await plyr.xrpc(fm.plyr.feed.getTrack, { params: { uri: uri as never } })
  holds<Equal<typeof body.track.likeCount, number>>()
  holds<Equal<typeof body.cursor, string | undefined>>()
  const heard = await plyr.call(fm.plyr.feed.recordPlay, { uri: body.track.uri, heardMs: 30_000 })
  holds<Equal<typeof heard.counted, boolean>>()
  const top = await plyr.call(fm.plyr.feed.getTop, { of: 'artists', period: 'month' })
  const name: string | undefined = top.entries[0]?.artist?.displayName
  for await (const track of plyr.items(fm.plyr.feed.getLatest, 'tracks', { limit: 10 })) {
    holds<Equal<typeof track, fm.plyr.feed.defs.TrackView>>()
  }
  isError(name, fm.plyr.feed.getTop, 'NotYours')

  // @ts-expect-error a track is asked for by its uri
  await plyr.xrpc(fm.plyr.feed.getTrack, { params: {} })
  // @ts-expect-error there is no such chart
  await plyr.call(fm.plyr.feed.getTop, { of: 'albums' })
  // @ts-expect-error what was heard must be said
  await plyr.call(fm.plyr.feed.recordPlay, {})
  // @ts-expect-error a view has no such field
  void body.track.likes
  // @ts-expect-error it is not in pages
  plyr.pages(fm.plyr.stats.getStats)
  // @ts-expect-error it has no such list
  plyr.items(fm.plyr.feed.getLatest, 'entries')
  // @ts-expect-error where to begin is not for the caller to say
  plyr.pages(fm.plyr.feed.getLatest, { cursor: 'x' })
  // @ts-expect-error whose must be said
  plyr.items(fm.plyr.feed.getActorTracks, 'tracks')
  // @ts-expect-error it declares no such error
  isError(name, fm.plyr.feed.getTop, 'NotHeard')
  // @ts-expect-error a like has a subject
  fm.plyr.like.$build({ createdAt: '2026-01-01T00:00:00Z' })
}
