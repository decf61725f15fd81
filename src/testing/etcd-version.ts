/**
 * Newest patch release that the harness knows to get for each series. Debian forky and sid have this 3.5, bookworm this
 * 3.4; 3.6 and 3.7 come from `etcd-servers/` or as release archives.
 */
const knownPatches: Readonly<Record<string, string>> = {
  '3.4': '3.4.23',
  '3.5': '3.5.30',
  '3.6': '3.6.16',
  '3.7': '3.7.3',
}

/** The series taken when no version is asked for. */
export const defaultSeries = '3.5'

/** What a caller asks for: nothing (`any`), a series such as 3.5, or one exact version. */
export type VersionRequest =
  | { readonly kind: 'any' }
  | { readonly kind: 'series'; readonly series: string }
  | { readonly kind: 'exact'; readonly version: string }

/** Reads `3.5`, `3.5.30` or `v3.5.30`; undefined and '' ask for any version. */
export function parseVersionRequest(text: string | undefined): VersionRequest {
  if (text === undefined || text === '') return { kind: 'any' }
  if (/^v?\d+\.\d+$/.test(text)) return { kind: 'series', series: text.replace('v', '') }
  if (/^v?\d+\.\d+\.\d+$/.test(text)) return { kind: 'exact', version: text.replace('v', '') }
  throw new TypeError(`\`version\` must be an etcd version such as '3.5' or '3.5.30', got '${text}'`)
}

/** The request in words, for messages. */
export function describeRequest(request: VersionRequest): string {
  if (request.kind === 'any') return 'etcd 3.4 or newer'
  return `etcd ${request.kind === 'series' ? request.series : request.version}`
}

/** Whether a version satisfies a request; any patch release of a series does. */
export function fitsRequest(version: string, request: VersionRequest): boolean {
  if (request.kind === 'any') return compareVersions(version, '3.4.0') >= 0
  if (request.kind === 'series') return seriesOf(version) === request.series
  return version === request.version
}

/**
 * Whether a cached version satisfies a request without a download. An old patch release, which was once requested by
 * its exact version, does not satisfy a request for its series.
 */
export function isFreshEnough(version: string, request: VersionRequest): boolean {
  if (!fitsRequest(version, request)) return false
  if (request.kind === 'exact') return true
  if (request.kind === 'any' && seriesOf(version) !== defaultSeries) return false
  return compareVersions(version, exactVersion(request) ?? version) >= 0
}

/** The exact version to fetch for a request, or undefined for a series that the harness knows no release of. */
export function exactVersion(request: VersionRequest): string | undefined {
  if (request.kind === 'exact') return request.version
  return knownPatches[request.kind === 'any' ? defaultSeries : request.series]
}

/** The series of a request; the default one where none was asked for. */
export function requestedSeries(request: VersionRequest): string {
  if (request.kind === 'any') return defaultSeries
  return request.kind === 'series' ? request.series : seriesOf(request.version)
}

/** `3.5` for `3.5.30`. */
export function seriesOf(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}

/** Orders versions by number: negative when the first is older. Pre-release suffixes are ignored. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [versionNumbers(a), versionNumbers(b)]
  for (const [index, number] of left.entries()) {
    const difference = number - (right[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function versionNumbers(version: string): number[] {
  return version.split(/[.-]/, 3).map(Number)
}
