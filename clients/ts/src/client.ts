import {
  type Agent,
  Client,
  type ClientOptions,
  type DidString,
  type InferMethodError,
  type Main,
  type Procedure,
  type Query,
  type Service,
  XrpcError,
  type XrpcRequestParams,
  type XrpcResponseBody,
  getMain,
} from '@atproto/lex'

/** Straight to a plyr: as nobody, or with a token. */
export interface DirectOptions extends Omit<ClientOptions, 'service'> {
  /** Its address, such as `https://plyr.example`. */
  service: string | URL
  /** A token of this plyr's own (its settings page makes them for programs), or one that a PDS signed for it. */
  token?: string
  /** Who the token is of: whose records `get` and `list` read. */
  did?: DidString
  /** Another `fetch`. */
  fetch?: typeof globalThis.fetch
}

/** By way of a person's PDS, which says to plyr who they are. */
export interface AgentOptions extends Omit<ClientOptions, 'service'> {
  /** Their session: of `@atproto/oauth-client-*`, `@atproto/lex-password-session`, or an `Agent` of `@atproto/api`. */
  agent: Agent
  /**
   * The plyr that is asked: its address, or the service it is called by (`did:web:plyr.example#plyr_appview`). To be left
   * out for an agent that names one itself.
   */
  appview?: string | URL
}

/** Names of the parameters' and answers' parts that pages are made of. */
type Paged<M extends Query> =
  XrpcRequestParams<M> extends { cursor?: string | undefined }
    ? XrpcResponseBody<M> extends { cursor?: string | undefined }
      ? M
      : never
    : never

/** What is asked of each page; where it begins is not for the caller to say. */
type PageParams<M extends Query> = Omit<XrpcRequestParams<M>, 'cursor'>

/** Names of the lists in an answer. */
type ListOf<Body> = { [K in keyof Body]-?: NonNullable<Body[K]> extends readonly unknown[] ? K : never }[keyof Body]

/** One of a list in an answer. */
type ItemOf<Body, K extends keyof Body> = NonNullable<Body[K]> extends readonly (infer Item)[] ? Item : never

/** Whether parameters may be left out. */
type Optional<P> = NonNullable<unknown> extends P ? [params?: P] : [params: P]

/** The service that a plyr is called by at a PDS: `https://plyr.example` is `did:web:plyr.example#plyr_appview`. */
export function serviceOf(address: string | URL): Service {
  if (typeof address === 'string' && address.startsWith('did:')) {
    if (!/^did:[a-z]+:[^#\s]+#[^#\s]+$/.test(address)) {
      throw new TypeError(`${address} is not a DID with the name of a service, such as did:web:plyr.example#plyr_appview`)
    }
    return address as Service
  }
  // On one's own machine by the name that stands for it, as the network's programs find it.
  const host = new URL(address).host.replace(/^(127\.0\.0\.1|\[::1\])(?=:|$)/, 'localhost')
  return `did:web:${encodeURIComponent(host)}#plyr_appview`
}

/**
 * Calls the methods of a plyr.
 *
 * `xrpc(method, {params, body})` answers with the whole response, `call(method, params or body)` with its body; both
 * throw an `XrpcError`, whose `error` is the name of what went wrong. Answers are held against their lexicons, unless
 * `validateResponse` is false.
 *
 * With an agent, `create`, `put` and `delete` write records into the person's own repo at their PDS.
 */
export class PlyrClient extends Client {
  constructor(options: DirectOptions | AgentOptions) {
    if ('agent' in options) {
      const { agent, appview, ...rest } = options
      super(agent, appview === undefined ? rest : { ...rest, service: serviceOf(appview) })
    } else {
      const { service, token, did, fetch, ...rest } = options
      super(
        {
          service,
          ...(did === undefined ? {} : { did }),
          ...(fetch === undefined ? {} : { fetch }),
          ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
        },
        rest,
      )
    }
  }

  /** All pages of a query, as they come: `for await (const page of plyr.pages(fm.plyr.feed.getLatest)) …` */
  async *pages<const M extends Query>(
    method: Main<Paged<M>> & Main<M>,
    ...[params]: Optional<PageParams<M>>
  ): AsyncGenerator<XrpcResponseBody<M>, void, undefined> {
    const query: Query = getMain<Query>(method)
    let cursor: string | undefined
    do {
      const { body } = await this.xrpc(query, { params: cursor === undefined ? { ...params } : { ...params, cursor } })
      yield body as XrpcResponseBody<M>
      const next = (body as { cursor?: string }).cursor
      if (next !== undefined && next === cursor) {
        throw new Error(`${query.nsid}: the answer's cursor is the one that was asked with`)
      }
      cursor = next
    } while (cursor !== undefined)
  }

  /** What is on all pages, one by one: `for await (const track of plyr.items(fm.plyr.feed.getLatest, 'tracks')) …` */
  async *items<const M extends Query, const K extends ListOf<XrpcResponseBody<M>>>(
    method: Main<Paged<M>> & Main<M>,
    list: K,
    ...params: Optional<PageParams<M>>
  ): AsyncGenerator<ItemOf<XrpcResponseBody<M>, K>, void, undefined> {
    for await (const page of this.pages<M>(method, ...params)) {
      yield* ((page as Partial<Record<K, unknown>>)[list] ?? []) as ItemOf<XrpcResponseBody<M>, K>[]
    }
  }
}

/** Whether a call of this method failed by an error that its lexicon declares: `isError(e, fm.plyr.feed.getTop, 'NotYours')`. */
export function isError<const M extends Query | Procedure>(
  error: unknown,
  method: Main<M>,
  name: InferMethodError<M>,
): boolean {
  return error instanceof XrpcError && error.method.nsid === getMain(method).nsid && error.error === name
}
