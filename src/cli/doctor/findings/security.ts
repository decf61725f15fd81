import { formatNumber } from '../../units.js'
import type { Finding, Severity } from '../finding.js'
import type { ClusterReport, MemberReport } from '../report.js'

const dayMs = 86_400_000
const soonDays = 30
const urgentDays = 7

/** Certificates that end, and secrets that go over the wire in clear. */
export function securityFindings(report: ClusterReport): Finding[] {
  return [
    ...report.members.flatMap((member) => certificate(member, report.at)),
    ...clearPassword(report),
    ...openDoor(report),
  ]
}

function certificate({ name, tls }: MemberReport, now: Date): Finding[] {
  if (tls === undefined) return []
  const days = (tls.expiresAt.getTime() - now.getTime()) / dayMs
  if (days > soonDays) return []
  const severity: Severity = days <= urgentDays ? 'critical' : 'warning'
  const when = days < 0 ? `ended ${formatNumber(-days, 1)} days ago` : `ends in ${formatNumber(days, 1)} days`
  return [
    {
      id: 'certificate',
      severity,
      members: [name],
      title: `The certificate of ${name} (${tls.subject}) ${when}, at ${tls.expiresAt.toISOString()}`,
      advice: ['Put a new one in place of its --cert-file and --key-file: etcd reads them for each new connection.'],
    },
  ]
}

function clearPassword({ passwordInClear }: ClusterReport): Finding[] {
  if (!passwordInClear) return []
  return [
    {
      id: 'clear-password',
      severity: 'warning',
      members: [],
      title: 'Passwords and tokens go over the network in clear',
      advice: [
        'Serve clients over TLS (--cert-file, --key-file), best with client certificates, which need no tokens.',
      ],
    },
  ]
}

function openDoor({ authEnabled, members }: ClusterReport): Finding[] {
  if (authEnabled !== false || members.every(({ endpoint }) => isLocal(endpoint))) return []
  if (members.some(({ tls }) => tls !== undefined)) return []
  return [
    {
      id: 'open',
      severity: 'advice',
      members: [],
      title: 'Everybody who can reach the members can read and write everything: neither authentication nor TLS is on',
      advice: [
        'Ask clients for certificates: --client-cert-auth with --trusted-ca-file, and etcdctl auth enable for roles.',
      ],
    },
  ]
}

function isLocal(endpoint: string): boolean {
  return /^(unixs?:|\w+:\/\/(localhost|127\.|\[::1\]))/.test(endpoint)
}
