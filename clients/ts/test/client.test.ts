import assert from 'node:assert/strict'
import test from 'node:test'
import { PlyrClient, XrpcAuthenticationError, XrpcResponseError, fm, isError, l, serviceOf } from 'plyr-client'
import { known, needsWorld, service } from './world.ts'

const plyr = new PlyrClient({ service })

test('anybody may read, and what they read is typed', async () => {
  const { tracks } = await plyr.call(fm.plyr.feed.getLatest, { limit: 10 })
  assert.ok(tracks.length <= 10)
  for (const track of tracks) {
    assert.match(track.uri, /^at:\/\/did:/)
    assert.equal(track.viewer, undefined)
    assert.ok(fm.plyr.track.$matches(track.record), `${track.uri} is no record of a track`)
    assert.ok(track.record.title.length > 0)
  }
  const stats = await plyr.call(fm.plyr.stats.getStats)
  assert.equal(typeof stats, 'object')
})

test('pages follow one another, and items go through all of them', needsWorld, async () => {
  const { artist, tracks } = known()
  const sizes = []
  for await (const page of plyr.pages(fm.plyr.feed.getActorTracks, { actor: artist.did, limit: 2 })) {
    sizes.push(page.tracks.length)
  }
  assert.deepEqual(sizes, [2, 2, 1])
  const seen: string[] = []
  for await (const track of plyr.items(fm.plyr.feed.getActorTracks, 'tracks', { actor: artist.handle, limit: 2 })) {
    seen.push(track.uri)
  }
  assert.deepEqual(seen.sort(), tracks.map((track) => track.uri as string).sort())
  // Who has enough may stop.
  for await (const comment of plyr.items(fm.plyr.feed.getComments, 'comments', { uri: tracks[0].uri, limit: 1 })) {
    assert.equal(comment.text, 'fine')
    break
  }
})

test('a page that leads to itself ends', async () => {
  let asked = 0
  const looping = new PlyrClient({
    service,
    fetch: async () => {
      asked += 1
      return Response.json({ tracks: [], cursor: 'again' })
    },
  })
  await assert.rejects(async () => {
    for await (const _ of looping.pages(fm.plyr.feed.getLatest)) continue
  }, /getLatest: the answer's cursor/)
  assert.equal(asked, 2)
})

test('a token says who asks', needsWorld, async () => {
  const { fan, tracks, like } = known()
  const own = new PlyrClient({ service, token: fan.token, did: fan.did })
  const [track] = (await own.call(fm.plyr.feed.getTracks, { uris: [tracks[0].uri] })).tracks
  assert.equal(track?.viewer?.like, like)
  const [other] = (await own.call(fm.plyr.feed.getTracks, { uris: [tracks[1]!.uri] })).tracks
  assert.deepEqual(other?.viewer, {})
  const heard = await own.call(fm.plyr.feed.recordPlay, { uri: tracks[2]!.uri, client: 'plyr-client' })
  assert.deepEqual([heard.counted, heard.playCount], [true, 1])
  assert.equal((await own.call(fm.plyr.feed.recordPlay, { uri: tracks[2]!.uri })).counted, false)
})

test('what goes wrong has a name', needsWorld, async () => {
  const { artist, fan, tracks } = known()
  const own = new PlyrClient({ service, token: fan.token })
  const gone = `at://${artist.did}/fm.plyr.track/3jzfcijpj2z2a` as l.AtUriString
  await assert.rejects(plyr.call(fm.plyr.feed.getTrack, { uri: gone }), (error) => {
    assert.ok(isError(error, fm.plyr.feed.getTrack, 'NotFound'))
    assert.ok(!isError(error, fm.plyr.feed.getLikes, 'NotFound'), 'it is of another method')
    return true
  })
  await assert.rejects(own.call(fm.plyr.feed.getTop, { actor: artist.did }), (error) =>
    isError(error, fm.plyr.feed.getTop, 'NotYours'),
  )
  await assert.rejects(own.call(fm.plyr.feed.recordPlay, { uri: tracks[0].uri, heardMs: 1 }), (error) =>
    isError(error, fm.plyr.feed.recordPlay, 'NotHeard'),
  )
  // What no lexicon declares has a name all the same.
  const lost = await plyr.xrpcSafe(fm.plyr.feed.getLatest, { params: { cursor: 'x' } })
  assert.ok(lost instanceof XrpcResponseError)
  assert.deepEqual([lost.status, lost.error], [400, 'InvalidRequest'])
  // What no lexicon allows is not even asked.
  let asked = 0
  const watched = new PlyrClient({ service, fetch: async () => Response.json({ tracks: [], asked: (asked += 1) }) })
  await assert.rejects(watched.call(fm.plyr.feed.getLatest, { limit: 1000 }), ({ cause }: Error) => /limit/.test(String(cause)))
  assert.equal(asked, 0)
  const nonsense = await new PlyrClient({ service, token: 'a.b.c' }).xrpcSafe(fm.plyr.feed.getLatest)
  assert.ok(nonsense instanceof XrpcAuthenticationError)
  assert.equal(nonsense.error, 'BadJwt')
  const nothing = l.query('fm.plyr.feed.getNothing', l.params({}), l.jsonPayload({}))
  const unknown = await plyr.xrpcSafe(nothing, {})
  assert.ok(unknown instanceof XrpcResponseError)
  assert.deepEqual([unknown.status, unknown.error], [501, 'MethodNotImplemented'])
})

test('a plyr is called by its host', () => {
  assert.equal(serviceOf('https://plyr.example/'), 'did:web:plyr.example#plyr_appview')
  assert.equal(serviceOf(new URL('http://127.0.0.1:3000')), 'did:web:localhost%3A3000#plyr_appview')
  assert.equal(serviceOf('did:web:plyr.example#plyr_appview'), 'did:web:plyr.example#plyr_appview')
  assert.throws(() => serviceOf('did:web:plyr.example'), /not a DID with the name of a service/)
})
