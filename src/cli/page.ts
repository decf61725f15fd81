/** Text as the content of an element, or of an attribute in double quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/** A page that is whole in itself: nothing is loaded from anywhere, and the policy says so to the browser. */
export function htmlPage(title: string, body: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body.join('\n')}
</main>
</body>
</html>
`
}

/** A table; cells are HTML already. */
export function htmlTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = titles.map((title) => `<th>${escapeHtml(title)}</th>`).join('')
  const body = rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('\n')
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`
}

const style = `
:root { color-scheme: light dark; --back: #fff; --text: #1c2330; --soft: #5d6778; --line: #d9dee7; --bar: #2f6fde;
  --light: #a9c5f5; --bad: #c62f2f; --warn: #a86400; --good: #1b7f4d; }
@media (prefers-color-scheme: dark) { :root { --back: #12161d; --text: #e4e9f1; --soft: #97a3b6; --line: #2c3442;
  --bar: #6ea0ff; --light: #304a78; --bad: #ff7b72; --warn: #e0a44a; --good: #5dc58e; } }
body { margin: 0; overflow-wrap: anywhere; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; }
p.note, figcaption { color: var(--soft); margin: 0 0 8px; }
figure { margin: 20px 0; max-width: 760px; } svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); } .middle { text-anchor: middle; } .end { text-anchor: end; }
.grid { stroke: var(--line); } .bar, .key.s0 { fill: var(--bar); } .light { fill: var(--light); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .s0 { stroke: var(--bar); } .s1 { stroke: var(--warn); }
.s2 { stroke: var(--good); } .s3 { stroke: var(--bad); } .key.s1 { fill: var(--warn); } .key.s2 { fill: var(--good); }
.key.s3 { fill: var(--bad); } .key { stroke: none; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } th, td:not(:last-child) { white-space: nowrap; } td:last-child { min-width: 90px; }
.bad { color: var(--bad); } .warn { color: var(--warn); } .good { color: var(--good); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; }
dt { color: var(--soft); } dd { margin: 0; font-size: 20px; font-variant-numeric: tabular-nums; }
ul.findings { list-style: none; padding: 0; } ul.findings li { border-left: 4px solid var(--line); padding: 4px 12px; margin: 10px 0; }
ul.findings li.bad { border-color: var(--bad); } ul.findings li.warn { border-color: var(--warn); }
ul.findings li > * { color: var(--text); } ul.findings li b { font-weight: 600; }
code { font: 13px ui-monospace, monospace; }
`.trim()
