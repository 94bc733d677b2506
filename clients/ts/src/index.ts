/**
 * A typed client of plyr.
 *
 * The methods, records and views are generated from the lexicons (`fm`, `com`, …); `PlyrClient` calls them.
 */

export * from './client.js'
export * from './lexicons/index.js'
export { XrpcAuthenticationError, XrpcError, XrpcFetchError, XrpcResponseError, asXrpcFailure, l } from '@atproto/lex'
