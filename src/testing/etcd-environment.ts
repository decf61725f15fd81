import type { ClusterTls } from './cluster-tls.js'
import { compareVersions } from './etcd-version.js'

/** This process's environment without ETCD_ and ETCDCTL_ variables, which would change what the harness starts. */
export function withoutEtcdVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^ETCD(CTL)?_/.test(name)))
}

/** What etcdctl needs to reach a cluster. */
export interface EtcdctlTarget {
  readonly version: string
  readonly endpoints: readonly string[]
  readonly tls: ClusterTls | undefined
  readonly rootPassword: string | undefined
}

/** The variables that point etcdctl at a cluster, without those that its arguments already decide. */
export function etcdctlVariables(target: EtcdctlTarget, args: readonly string[]): NodeJS.ProcessEnv {
  const { version, endpoints, tls, rootPassword } = target
  const values = {
    endpoints: endpoints.join(','),
    cacert: tls?.caFile,
    cert: tls?.certFile,
    key: tls?.keyFile,
    user: rootPassword === undefined ? undefined : `root:${rootPassword}`,
  }
  // etcdctl refuses to run when a flag and its variable are both given.
  const isGiven = (name: string) => args.some((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`))
  const variables = Object.entries(values).flatMap(([name, value]) =>
    value === undefined || isGiven(name) ? [] : [[`ETCDCTL_${name.toUpperCase()}`, value]],
  )
  // 3.6 has only API version 3 and warns about the variable.
  if (compareVersions(version, '3.6.0') < 0) variables.push(['ETCDCTL_API', '3'])
  return Object.fromEntries(variables)
}
