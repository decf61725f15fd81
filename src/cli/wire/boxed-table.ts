/** A table with a frame, as etcdctl draws it: titles are centered and cells right-aligned. */
export function boxedTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)))
  const rule = ([left, middle, right]: readonly [string, string, string]): string =>
    `${left}${widths.map((width) => '─'.repeat(width + 2)).join(middle)}${right}`
  const line = (cells: readonly string[]): string => `│ ${cells.join(' │ ')} │`
  return [
    rule(['┌', '┬', '┐']),
    line(titles.map((title, at) => centered(title, widths[at] ?? 0))),
    rule(['├', '┼', '┤']),
    ...rows.map((row) => line(widths.map((width, at) => (row[at] ?? '').padStart(width)))),
    rule(['└', '┴', '┘']),
  ].join('\n')
}

function centered(text: string, width: number): string {
  return text.padStart(text.length + Math.floor((width - text.length) / 2)).padEnd(width)
}
