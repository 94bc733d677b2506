import type { l } from 'plyr-client'

/** Somebody in the network that the tests run in. */
export interface Person {
  did: l.DidString
  handle: l.HandleString
}

/** What is there, besides the server: a network of its own that somebody made for these tests. */
export interface World {
  appview: string
  pds: string
  artist: Person
  fan: Person & { password: string; token: string }
  tracks: [Ref, ...Ref[]]
  tag: string
  list: l.AtUriString
  slug: string
  like: l.AtUriString
  play: l.AtUriString
}

export interface Ref {
  uri: l.AtUriString
  cid: l.CidString
}

/** The plyr to talk to. */
export const service = process.env['PLYR_URL'] ?? ''
if (!service) throw new Error('PLYR_URL is not set: name a running plyr, such as http://127.0.0.1:3000')

/** Without it, tests that need to know what is there are skipped: any plyr will do for the others. */
export const world = process.env['PLYR_WORLD'] ? (JSON.parse(process.env['PLYR_WORLD']) as World) : undefined

/** For `test(name, needsWorld, …)`. */
export const needsWorld = { skip: world ? false : 'PLYR_WORLD is not set' } as const

/** The same, where it is known to be there. */
export function known(): World {
  if (!world) throw new Error('PLYR_WORLD is not set')
  return world
}

/** Asks until the answer is there. */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > deadline) throw new Error('waited for a minute')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
