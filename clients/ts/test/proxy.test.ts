// By way of a person's own PDS, which says to plyr who they are.

import assert from 'node:assert/strict'
import test from 'node:test'
import { AtpAgent } from '@atproto/api'
import { PlyrClient, fm, isError, l, serviceOf } from 'plyr-client'
import { eventually, known, needsWorld, service } from './world.ts'

async function signedIn(): Promise<AtpAgent> {
  const { pds, fan } = known()
  const agent = new AtpAgent({ service: pds })
  await agent.login({ identifier: fan.handle, password: fan.password })
  return agent
}

test('an agent of the person is enough', needsWorld, async () => {
  const { appview, artist, fan, tracks, like } = known()
  assert.equal(serviceOf(service), appview)
  const plyr = new PlyrClient({ agent: await signedIn(), appview: service })
  assert.equal(plyr.did, fan.did)
  const [track] = (await plyr.call(fm.plyr.feed.getTracks, { uris: [tracks[0].uri] })).tracks
  assert.equal(track?.viewer?.like, like)
  assert.equal((await plyr.call(fm.plyr.feed.recordPlay, { uri: tracks[4]!.uri })).counted, true)
  await assert.rejects(plyr.call(fm.plyr.feed.getTop, { actor: artist.did }), (error) =>
    isError(error, fm.plyr.feed.getTop, 'NotYours'),
  )
  // Records go to the repo, and come back as views.
  const subject = tracks[1]!
  const written = await plyr.create(fm.plyr.like, { subject, createdAt: l.currentDatetimeString() })
  const seen = async () =>
    (await plyr.call(fm.plyr.feed.getTracks, { uris: [subject.uri] })).tracks[0]?.viewer?.like
  assert.equal(await eventually(seen), written.uri)
  await plyr.delete(fm.plyr.like, { rkey: written.uri.split('/')[4]! })
  await eventually(async () => ((await seen()) === undefined ? true : undefined))
})

test('an agent that names the service itself is, too', needsWorld, async () => {
  const { appview, tracks, like } = known()
  const [did = '', name = ''] = appview.split('#')
  const agent = (await signedIn()).withProxy(name as 'bsky_appview', did)
  const plyr = new PlyrClient({ agent })
  const [track] = (await plyr.call(fm.plyr.feed.getTracks, { uris: [tracks[0].uri] })).tracks
  assert.equal(track?.viewer?.like, like)
})
