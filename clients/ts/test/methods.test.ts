// Every method there is, called once: the answers are held against their lexicons by the client.

import assert from 'node:assert/strict'
import test from 'node:test'
import { PlyrClient, app, blue, com, fm, l, parts } from 'plyr-client'
import { type World, known, needsWorld, service } from './world.ts'

type Method = l.Query | l.Procedure

/** All methods in a namespace of generated modules. */
function methods(namespace: object): Method[] {
  return Object.entries(namespace).flatMap(([name, value]: [string, unknown]) => {
    if (name === 'main') return value instanceof l.Query || value instanceof l.Procedure ? [value] : []
    return Object.prototype.toString.call(value) === '[object Module]' ? methods(value as object) : []
  })
}

/** What each is asked, and a list or a field that must be there. */
function questions({ artist, fan, tracks, tag, list, slug, play }: World): Record<string, [object, string?]> {
  const uri = tracks[0].uri
  const source = 'fm.plyr.like:subject.uri'
  const [, , , , playKey] = play.split('/')
  return {
    'app.bsky.feed.describeFeedGenerator': [{}, 'feeds'],
    'app.bsky.feed.getFeedSkeleton': [{ feed: `at://${artist.did}/app.bsky.feed.generator/plyr-top` }, 'feed'],
    'blue.microcosm.links.getBacklinkDids': [{ subject: uri, source }],
    'blue.microcosm.links.getBacklinks': [{ subject: uri, source }, 'records'],
    'blue.microcosm.links.getBacklinksCount': [{ subject: uri, source }, 'total'],
    'com.atproto.identity.resolveHandle': [{ handle: artist.handle }, 'did'],
    'com.atproto.repo.getRecord': [{ repo: artist.did, collection: 'fm.plyr.track', rkey: uri.split('/')[4] }, 'value'],
    'com.atproto.repo.listRecords': [{ repo: artist.handle, collection: 'fm.plyr.track' }, 'records'],
    'fm.plyr.actor.getNowPlaying': [{ actor: fan.did }],
    'fm.plyr.actor.getProfile': [{ actor: artist.handle }, 'did'],
    'fm.plyr.actor.getProfileAnalytics': [{ actor: artist.did }],
    'fm.plyr.actor.getProfiles': [{ actors: [artist.did, fan.handle] }, 'profiles'],
    'fm.plyr.actor.searchActors': [{ q: 'clientartist' }],
    'fm.plyr.feed.getActivity': [{}],
    'fm.plyr.feed.getActorLikes': [{ actor: fan.did }, 'tracks'],
    'fm.plyr.feed.getActorTracks': [{ actor: artist.did }, 'tracks'],
    'fm.plyr.feed.getComments': [{ uri }, 'comments'],
    'fm.plyr.feed.getLatest': [{}, 'tracks'],
    'fm.plyr.feed.getLikes': [{ uri }, 'likes'],
    'fm.plyr.feed.getTagTracks': [{ tag }, 'tracks'],
    'fm.plyr.feed.getTags': [{ q: 'client' }, 'tags'],
    'fm.plyr.feed.getTimeline': [{}],
    'fm.plyr.feed.getTop': [{ actor: fan.did, period: 'all' }, 'entries'],
    'fm.plyr.feed.getTrack': [{ uri }, 'comments'],
    'fm.plyr.feed.getTracks': [{ uris: [uri] }, 'tracks'],
    'fm.plyr.feed.recordPlay': [{ uri: tracks[3]!.uri }, 'counted'],
    'fm.plyr.list.getAlbum': [{ actor: artist.handle, slug }, 'tracks'],
    'fm.plyr.list.getList': [{ uri: list }, 'list'],
    'fm.plyr.list.getLists': [{ actor: artist.did }, 'lists'],
    'fm.plyr.search.query': [{ q: 'client' }, 'results'],
    'fm.plyr.search.searchTracks': [{ q: 'client' }, 'tracks'],
    'fm.plyr.stats.getStats': [{}],
    'fm.plyr.sync.getRepoStatus': [{ did: artist.did }, 'rev'],
    'fm.plyr.sync.getStatus': [{}],
    'fm.teal.actor.getProfile': [{ actor: fan.did }],
    'fm.teal.actor.getProfiles': [{ actors: [fan.did] }],
    'fm.teal.actor.getStatus': [{ actor: fan.did }],
    'fm.teal.actor.searchActors': [{ q: 'client' }],
    'fm.teal.feed.getActorFeed': [{ authorDID: fan.did }, 'plays'],
    'fm.teal.feed.getPlay': [{ authorDID: fan.did, rkey: playKey }, 'play'],
    'fm.teal.stats.getLatest': [{}, 'plays'],
    'fm.teal.stats.getRepoTopReleases': [{ actor: fan.did }],
    'fm.teal.stats.getTopArtists': [{}, 'artists'],
    'fm.teal.stats.getTopReleases': [{}, 'releases'],
    'fm.teal.stats.getUserTopArtists': [{ actor: fan.did }, 'artists'],
    'fm.teal.stats.getUserTopRecordings': [{ actor: fan.did }, 'recordings'],
    'fm.teal.stats.getUserTopReleases': [{ actor: fan.did }, 'releases'],
    'parts.page.mention.search': [{ service: `at://${artist.did}/parts.page.mention.service/x`, search: 'client' }, 'results'],
  }
}

test('every method answers as its lexicon says', needsWorld, async (context) => {
  const world = known()
  const plyr = new PlyrClient({ service, token: world.fan.token, did: world.fan.did, validateRequest: true })
  const asked = questions(world)
  const all = methods({ app, blue, com, fm, parts })
  // The same words in the same order, so that a new method is not forgotten here.
  assert.deepEqual(all.map((method) => method.nsid as string).sort(), Object.keys(asked).sort())
  for (const method of all) {
    await context.test(method.nsid, async () => {
      const [question, part] = asked[method.nsid]!
      const options = method instanceof l.Procedure ? { body: question } : { params: question }
      const { body } = await plyr.xrpc(method as l.Query, options as never)
      const answer = body as Record<string, unknown>
      if (part === undefined) return
      const value = answer[part]
      assert.ok(Array.isArray(value) ? value.length > 0 : value !== undefined, `no ${part} in ${JSON.stringify(answer)}`)
    })
  }
})
