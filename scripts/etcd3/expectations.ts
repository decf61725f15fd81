/** The number of tests that the suite runs, and of those that it skips. */
export const total = 155
export const skipped = 2

const watchers =
  'reads `client.watchManager.watchers`, which is private; the behaviour beside it is tested in test/etcd3'
const clock = 'moves a fake clock by which etcd3 sends its renewals; the engine renews by a clock that nobody can move'

/**
 * The tests that use internals of etcd3 and therefore fail, with the reason. All other tests pass, among them eleven that use
 * internals, too.
 */
export const expectedFailures: Readonly<Record<string, string>> = {
  'connection pool rejects hitting invalid hosts':
    'expects a call to fail because one of two hosts is unreachable; here it is made on the other one',
  'lease() crons touches the lease ttl at the correct interval': clock,
  'lease() crons marks leases as failed if etcd does not respond to keepalives in time (#110)': clock,
  'roles and auth password auth automatically retrieves a new token if the existing one is invalid':
    'replaces the token within `client.pool.authenticator`, which is private; a refused token is replaced here, too',
  'watch() subscription subscribes before the connection is established': watchers,
  'watch() subscription subscribes while the connection is still being established': watchers,
  'watch() subscription subscribes after the connection is fully established': watchers,
  'watch() unsubscribing unsubscribes while the connection is established': watchers,
  'watch() unsubscribing unsubscribes while the connection is being reestablished': watchers,
}
