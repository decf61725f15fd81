/** What can be imported, as files of `src` without their ending. */
export const entries = [
  'index',
  'naming/index',
  'testing/index',
  'workqueue/index',
  'otel/index',
  'prometheus/index',
  'etcd3/index',
] as const

/** What can be run. */
export const programs = ['cli/bin'] as const
