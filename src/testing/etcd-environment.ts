import type { ClientFiles } from './cluster-tls.js'
import { compareVersions } from './etcd-version.js'

/** This process's environment without ETCD_ and ETCDCTL_ variables, which would change what the harness starts. */
export function withoutEtcdVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^ETCD(CTL)?_/.test(name)))
}

/** What etcdctl needs to reach a cluster. */
export interface EtcdctlTarget {
  readonly version: string
  readonly endpoints: readonly string[]
  readonly tls: ClientFiles | undefined
  readonly rootPassword: string | undefined
}

/** The variables with which etcdctl and `Etcd.fromEnv()` reach a cluster. */
export function clientVariables({
  endpoints,
  tls,
  rootPassword,
}: Omit<EtcdctlTarget, 'version'>): Record<string, string> {
  const variables = {
    ETCDCTL_ENDPOINTS: endpoints.join(','),
    ETCDCTL_CACERT: tls?.caFile,
    ETCDCTL_CERT: tls?.certFile,
    ETCDCTL_KEY: tls?.keyFile,
    ETCDCTL_USER: rootPassword === undefined ? undefined : `root:${rootPassword}`,
  }
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

/** The variables that point etcdctl at a cluster, without those that its arguments already decide. */
export function etcdctlVariables(target: EtcdctlTarget, args: readonly string[]): NodeJS.ProcessEnv {
  // etcdctl refuses to run when a flag and its variable are both given.
  const isGiven = (flag: string) => args.some((arg) => arg === flag || arg.startsWith(`${flag}=`))
  const flagOf = (variable: string) => variable.replace('ETCDCTL_', '--').toLowerCase()
  const variables = Object.entries(clientVariables(target)).filter(([name]) => !isGiven(flagOf(name)))
  // 3.6 has only API version 3 and warns about the variable.
  if (compareVersions(target.version, '3.6.0') < 0) variables.push(['ETCDCTL_API', '3'])
  return Object.fromEntries(variables)
}
