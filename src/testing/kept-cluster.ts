import type { EtcdClusterOptions } from './cluster-options.js'
import type { ClusterPorts, MemberPorts } from './cluster-ports.js'

/** A member of a kept cluster, as the next start needs it. */
export interface KeptMember extends MemberPorts {
  readonly name: string
  readonly isLearner: boolean
}

/** A kept cluster: its members find each other only at their old ports. */
export interface KeptCluster {
  readonly members: readonly KeptMember[]
  readonly isAuthEnabled: boolean
}

/** Places the members of the kept cluster where they were, or new ones. */
export async function placeMembers(
  ports: ClusterPorts,
  previous: KeptCluster | undefined,
  options: EtcdClusterOptions,
): Promise<readonly KeptMember[]> {
  if (previous === undefined) {
    const numbers = Array.from({ length: options.members ?? 1 }, (_, number) => number)
    return Promise.all(numbers.map((number) => placeMember(ports, number)))
  }
  checkOptions(previous, options)
  for (const member of previous.members) await ports.exactly(member)
  return previous.members
}

/** Places a new member. */
export async function placeMember(ports: ClusterPorts, number: number, isLearner = false): Promise<KeptMember> {
  return { name: `m${number}`, isLearner, ...(await ports.forMember(number)) }
}

function checkOptions({ members, isAuthEnabled }: KeptCluster, options: EtcdClusterOptions): void {
  const count = members.length
  const place = `the cluster in ${options.dataDir}`
  if (options.members !== undefined && options.members !== count) {
    throw new TypeError(`\`members\` must be ${count}, as in ${place}, got ${options.members}`)
  }
  const port = members[0]?.clientPort
  if (options.port !== undefined && options.port !== port) {
    throw new TypeError(`\`port\` must be ${port}, as in ${place}, got ${options.port}`)
  }
  if (isAuthEnabled && options.auth === undefined)
    throw new TypeError(`${place} has authentication: \`auth\` is required`)
}
