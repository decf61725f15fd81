import { formatNumber } from '../../units.js'
import type { Finding, Severity } from '../finding.js'
import type { ClusterReport, MemberReport } from '../report.js'

const dayMs = 86_400_000
const soonDays = 30
const urgentDays = 7

/** Expiring certificates, and secrets in plain text. */
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
  const when = days < 0 ? `expired ${formatNumber(-days, 1)} days ago` : `expires in ${formatNumber(days, 1)} days`
  return [
    {
      id: 'certificate',
      severity,
      members: [name],
      title: `The certificate of ${name} (${tls.subject}) ${when}, at ${tls.expiresAt.toISOString()}`,
      advice: ['Replace its --cert-file and --key-file: etcd reads them for each new connection.'],
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
      title: 'Passwords and tokens are sent in plain text',
      advice: [
        'Serve clients over TLS (--cert-file, --key-file), preferably with client certificates, which need no tokens.',
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
      title: 'Anyone who can reach the members can read and write all keys: neither authentication nor TLS is enabled',
      advice: [
        'Require client certificates (--client-cert-auth, --trusted-ca-file), and enable authentication (etcdctl auth enable).',
      ],
    },
  ]
}

function isLocal(endpoint: string): boolean {
  return /^(unixs?:|\w+:\/\/(localhost|127\.|\[::1\]))/.test(endpoint)
}
