/** The name and the value of a header. Bytes that are no ASCII are kept as Latin-1, so that nothing is lost. */
export type HeaderField = readonly [name: string, value: string]

/** What the dynamic table and the limits of header lists count for each field beside its name and value: RFC 7541, section 4.1. */
const fieldOverheadBytes = 32

/** The size of a field, as the dynamic table and the limits of header lists count it. */
export function fieldBytes(name: string, value: string): number {
  return name.length + value.length + fieldOverheadBytes
}
