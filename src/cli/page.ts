import { pageStyle } from './page-style.js'
import type { Column } from './table.js'

/** How a result is judged; also the class that colors it. */
export type Judgement = 'good' | 'warn' | 'bad'

/** The first thing that a page shows. */
export interface Verdict {
  readonly judgement: Judgement
  readonly text: string
  /** Where and when it was found. */
  readonly note: string
}

/** Text as the content of an element, or of an attribute in double quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** A self-contained page: it loads nothing and runs no script, which its policy enforces. */
export function htmlPage(title: string, verdict: Verdict, body: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<main>
<header class="verdict ${verdict.judgement}">
<h1>${escapeHtml(title)}</h1>
<p class="text">${escapeHtml(verdict.text)}</p>
<p class="note">${escapeHtml(verdict.note)}</p>
</header>
${body.filter((part) => part !== '').join('\n')}
</main>
</body>
</html>
`
}

/** A section with a heading; nothing if all its parts are empty. */
export function section(title: string, ...parts: readonly string[]): string {
  const shown = parts.filter((part) => part !== '')
  return shown.length === 0 ? '' : `<section>\n<h2>${escapeHtml(title)}</h2>\n${shown.join('\n')}\n</section>`
}

/** Charts or tables side by side, where the width allows it. */
export function grid(...parts: readonly string[]): string {
  const shown = parts.filter((part) => part !== '')
  return shown.length === 0 ? '' : `<div class="grid">\n${shown.join('\n')}\n</div>`
}

/** Names with values: large figures, or the facts about something. */
export function definitions(
  look: 'figures' | 'facts',
  pairs: readonly (readonly [name: string, text: string])[],
): string {
  const items = pairs.map(([name, text]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(text)}</dd></div>`)
  return `<dl class="${look}">${items.join('\n')}</dl>`
}

/** A table of texts. On a narrow screen, each row of a `wide` one becomes a block with the titles beside the cells. */
export function htmlTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  look: 'wide' | 'plain' = 'plain',
): string {
  if (rows.length === 0) return ''
  const classOf = (at: number): string => (columns[at]?.align === 'right' ? ' class="number"' : '')
  const head = columns.map(({ title }, at) => `<th${classOf(at)}>${escapeHtml(title.toLowerCase())}</th>`).join('')
  const cell = (text: string, at: number): string => {
    const title = escapeHtml(columns[at]?.title.toLowerCase() ?? '')
    return `<td${classOf(at)} data-title="${title}">${escapeHtml(text)}</td>`
  }
  const body = rows.map((cells) => `<tr>${cells.map(cell).join('')}</tr>`).join('\n')
  return `<table class="${look}"><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table>`
}
