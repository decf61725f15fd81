/**
 * Sums the samples of one metric in the Prometheus text format.
 * Only samples that carry all the given labels count; a metric without samples is 0.
 */
export function sumMetric(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0
  for (const line of text.split('\n')) {
    const sample = parseSample(line)
    if (sample?.name === name && hasLabels(sample.labels, labels)) sum += sample.value
  }
  return sum
}

interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

const samplePattern = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/
const labelPattern = /(\w+)="((?:[^"\\]|\\.)*)"/g

function parseSample(line: string): Sample | undefined {
  const [, name, labelText = '', value] = samplePattern.exec(line) ?? []
  if (name === undefined) return undefined
  const labels = new Map<string, string>()
  for (const [, label = '', text = ''] of labelText.matchAll(labelPattern)) labels.set(label, unescapeLabel(text))
  return { name, labels, value: Number(value) }
}

function unescapeLabel(text: string): string {
  return text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
}

function hasLabels(actual: ReadonlyMap<string, string>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([label, value]) => actual.get(label) === value)
}
