import { resolve } from 'node:path'
import type { EtcdCluster } from '../../testing/index.js'
import type { Style } from '../style.js'

/** The text that a new cluster is announced with. */
export function welcome(cluster: EtcdCluster, dataDir: string | undefined, style: Style): string {
  const { version, members, binary, env } = cluster
  const count = `${members.length} member${members.length === 1 ? '' : 's'}`
  const data = dataDir === undefined ? 'the data is deleted at the end' : `the data is kept in ${resolve(dataDir)}`
  return [
    style('bold', `etcd ${version}, ${count}; ${data}`),
    '',
    ...members.map(({ name, endpoint, pid }) => `  ${name}  ${style('cyan', endpoint)}  pid ${pid}`),
    '',
    `In a shell, for etcdctl, etcdkit and Etcd.fromEnv():`,
    '',
    ...Object.entries(env).map(([name, value]) => `  ${exportLine(name, value)}`),
    ...(binary.etcdctl === undefined ? [] : ['', `etcdctl ${version} is ${binary.etcdctl}`]),
    '',
    'In a program:',
    '',
    `  ${constructorOf(cluster)}`,
    '',
    'Ctrl-C ends the cluster.',
  ].join('\n')
}

/** The same for other programs. */
export function announcement(cluster: EtcdCluster, dataDir: string | undefined): object {
  const { version, endpoints, env, binary } = cluster
  const members = cluster.members.map(({ name, endpoint, pid, memberId }) => ({ name, memberId, endpoint, pid }))
  const kept = dataDir === undefined ? undefined : resolve(dataDir)
  return { version, endpoints, env, members, etcdctl: binary.etcdctl, dataDir: kept }
}

function constructorOf({ endpoints, env }: EtcdCluster): string {
  // With other variables the client needs more than endpoints.
  if (Object.keys(env).length > 1) return 'const etcd = Etcd.fromEnv()'
  const [first = ''] = endpoints
  return `const etcd = new Etcd(${endpoints.length === 1 ? `'${first}'` : `[${endpoints.map((url) => `'${url}'`).join(', ')}]`})`
}

/** The line that sets a variable, for the shell of the system. */
export function exportLine(name: string, value: string, platform: NodeJS.Platform = process.platform): string {
  if (platform === 'win32') return `$env:${name} = '${value.replaceAll("'", "''")}'`
  const isPlain = /^[\w@%+=:,./-]+$/.test(value)
  return `export ${name}=${isPlain ? value : `'${value.replaceAll("'", "'\\''")}'`}`
}
