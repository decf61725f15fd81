import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tryCommand } from './run-command.js'

/** What an apt works with that leaves the system's own lists, sources and caches alone. */
export interface AptSetup {
  /** Lines of a sources list. */
  readonly sources: readonly string[]
  /** What is installed. @default nothing */
  readonly status?: string
}

/** Writes the private configuration of one apt run and returns its path. */
export async function writeAptConfig(folder: string, { sources, status }: AptSetup): Promise<string> {
  for (const name of ['lists/partial', 'cache/archives/partial', 'state']) {
    mkdirSync(join(folder, name), { recursive: true })
  }
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const settings = {
    // The system's own settings can hold hooks that clean the system's caches.
    'Dir::Etc::Main': '/dev/null',
    'Dir::Etc::Parts': '/dev/null',
    'Dir::Etc::SourceList': file('sources.list', `${sources.join('\n')}\n`),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State': join(folder, 'state'),
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::State::status': status ?? file('status', ''),
    'Dir::Cache': join(folder, 'cache'),
    'Acquire::Languages': 'none',
    // Descriptions of desktop software, a third of the download.
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    // Keeps apt from switching to the user _apt, who may not write here.
    'APT::Sandbox::User': '',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`)
  return file('apt.conf', [...(await systemNetworkSettings()), ...lines, ''].join('\n'))
}

const networkSetting = /^Acquire::(https?|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date)\b/i

/**
 * The system's apt settings for proxies, certificates, retries and, where the mirror is a frozen one, the age of
 * package lists, as lines of a configuration file.
 */
async function systemNetworkSettings(): Promise<string[]> {
  const dump = await tryCommand('apt-config', ['dump', '--no-empty', '--format', '%F "%v";%n', 'Acquire'])
  return (dump ?? '').split('\n').filter((line) => networkSetting.test(line))
}
