import type { Style } from './style.js'

/** One column of a table. */
export interface Column {
  readonly title: string
  /** @default 'left' */
  readonly align?: 'left' | 'right'
}

const gap = '  '

/** Rows under titles, in columns as wide as their widest cell; no row ends with spaces. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style): string[] {
  const widths = columns.map(({ title }, at) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[at] ?? '')), widthOf(title)),
  )
  const render = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => pad(cells[at] ?? '', widths[at] ?? 0, align))
      .join(gap)
      .trimEnd()
  return [style('bold', render(columns.map(({ title }) => title))), ...rows.map(render)]
}

/** What gives text a look in a terminal; it begins with the control character ESC. */
const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g')

/** How many columns of a terminal a text takes; wide letters count as one. */
function widthOf(text: string): number {
  return [...text.replaceAll(escapes, '')].length
}

function pad(text: string, width: number, align: Column['align']): string {
  const spaces = ' '.repeat(Math.max(0, width - widthOf(text)))
  return align === 'right' ? spaces + text : text + spaces
}
