/**
 * Whether a member's word of progress can be trusted. Before 3.4.31 and 3.5.13 it could overtake events, so that a watch
 * which went on from there missed them (etcd issues 15220 and 17507).
 */
export function hasReliableProgress(serverVersion: string | undefined): boolean {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(serverVersion ?? '')?.map(Number) ?? []
  if (major === undefined || minor === undefined || patch === undefined) return false
  if (major !== 3) return major > 3
  if (minor === 4) return patch >= 31
  if (minor === 5) return patch >= 13
  return minor > 5
}
