/** A docblock at the given indent; nothing for an empty comment. */
export function docblock(comment: string | null, indent = ''): string {
  if (!comment) return ''
  const lines = comment.split('\n')
  if (lines.length === 1) return `${indent}/** ${comment} */\n`
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`).join('\n')}\n${indent} */\n`
}

/** A value as TypeScript source, on one line where it fits. */
export function literal(value: unknown, indent = ''): string {
  const flat = flatLiteral(value)
  if (flat.length + indent.length <= 100 || typeof value !== 'object' || value === null) return flat
  const inner = `${indent}  `
  const items = Array.isArray(value)
    ? value.map((item) => literal(item, inner))
    : Object.entries(value).map(([name, item]) => `${propertyName(name)}: ${literal(item, inner)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${items.map((item) => `${inner}${item},\n`).join('')}${indent}${close}`
}

function flatLiteral(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flatLiteral).join(', ')}]`
  if (typeof value === 'string') return `'${value}'`
  if (typeof value !== 'object' || value === null) return String(value)
  const items = Object.entries(value).map(([name, item]) => `${propertyName(name)}: ${flatLiteral(item)}`)
  return items.length === 0 ? '{}' : `{ ${items.join(', ')} }`
}

function propertyName(name: string): string {
  return /^\w+$/.test(name) ? name : `'${name}'`
}

/** `name` with a small first letter. */
export function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

/** Names in braces, on one line where they fit. */
export function braces(names: readonly string[], indent: string): string {
  const flat = `{ ${names.join(', ')} }`
  if (flat.length <= 100) return flat
  return `{\n${names.map((name) => `${indent}  ${name},\n`).join('')}${indent}}`
}
