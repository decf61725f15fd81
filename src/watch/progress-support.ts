/**
 * Whether progress notifications of this etcd version are reliable. Before 3.4.31 and 3.5.13 they could overtake events, and
 * a watch that resumed from there missed them ([etcd#15220](https://github.com/etcd-io/etcd/issues/15220),
 * [etcd#17507](https://github.com/etcd-io/etcd/issues/17507)).
 */
export function hasReliableProgress(serverVersion: string | undefined): boolean {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(serverVersion ?? '')?.map(Number) ?? []
  if (major === undefined || minor === undefined || patch === undefined) return false
  if (major !== 3) return major > 3
  if (minor === 4) return patch >= 31
  if (minor === 5) return patch >= 13
  return minor > 5
}
