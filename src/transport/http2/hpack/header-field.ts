/** The name and the value of a header, as Latin-1, so that no byte is lost. */
export type HeaderField = readonly [name: string, value: string]

/** The overhead of a field in the dynamic table and in header list limits: RFC 7541, section 4.1. */
const fieldOverheadBytes = 32

/** The size of a field in the dynamic table and in header list limits. */
export function fieldBytes(name: string, value: string): number {
  return name.length + value.length + fieldOverheadBytes
}
