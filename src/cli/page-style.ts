/** The style of all pages: light and dark, from 320 pixels to any width, and on paper. */
export const pageStyle = `
:root { color-scheme: light dark; --back: #fff; --card: #f6f8fb; --text: #1c2330; --soft: #556072; --line: #d9dee7;
  --bar: #2f6fde; --light: #a9c5f5; --bad: #b42318; --warn: #8a5200; --good: #146c43; }
@media (prefers-color-scheme: dark) { :root { --back: #12161d; --card: #1a2029; --text: #e4e9f1; --soft: #a3aebf; --line: #313a49;
  --bar: #6ea0ff; --light: #34507f; --bad: #ff8a80; --warn: #e5ad55; --good: #66cf98; } }
* { box-sizing: border-box; }
body { margin: 0; overflow-wrap: anywhere; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  -webkit-text-size-adjust: 100%; }
main { max-width: 1800px; margin: 0 auto; padding: 24px clamp(14px, 2.5vw, 40px) 56px; }
h1 { font-size: 15px; font-weight: 600; color: var(--soft); margin: 0; } h2 { font-size: 19px; margin: 36px 0 12px; }
p { margin: 0; } .note, figcaption, dt, th { color: var(--soft); } code { font: 13px ui-monospace, monospace; }
.verdict { border: 1px solid var(--line); border-left: 6px solid var(--soft); border-radius: 8px; background: var(--card); padding: 14px 18px; }
.verdict .text { font-size: clamp(20px, 3vw, 28px); font-weight: 650; line-height: 1.25; margin: 2px 0 6px; }
.verdict.bad { border-left-color: var(--bad); } .verdict.warn { border-left-color: var(--warn); } .verdict.good { border-left-color: var(--good); }
.verdict.bad .text, b.bad { color: var(--bad); } b.advice { color: var(--soft); } .verdict.warn .text, b.warn { color: var(--warn); } .verdict.good .text { color: var(--good); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 24px 40px; align-items: start; }
.grid + .grid, table + .grid, .grid + table { margin-top: 24px; }
figure { margin: 0; min-width: 0; } figcaption { margin-bottom: 8px; }
svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
.middle { text-anchor: middle; } .end { text-anchor: end; } .rule { stroke: var(--line); } .column { fill: var(--bar); }
.line { fill: none; stroke: var(--bar); stroke-width: 2; stroke-linejoin: round; }
.bar { display: grid; grid-template-columns: 1fr auto; gap: 0 16px; padding: 4px 0; font-variant-numeric: tabular-nums; }
.bar .value { text-align: right; } .bar .track { grid-column: 1 / -1; display: flex; height: 8px; border-radius: 4px; background: var(--line); overflow: hidden; }
.bar i { background: var(--bar); } .bar i.light { background: var(--light); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 20px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } th.number, td.number { text-align: right; white-space: nowrap; width: 1%; } th:last-child, td:last-child { padding-right: 0; }
table.wide th, table.wide td:nth-child(n + 3) { white-space: nowrap; } table.wide td:first-child { min-width: 8em; }
dl { margin: 0; font-variant-numeric: tabular-nums; } dd { margin: 0; }
dl.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 18px 28px; margin: 24px 0 32px; }
dl.figures dd { font-size: 22px; }
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 0 40px; }
dl.facts > div { display: grid; grid-template-columns: minmax(110px, 170px) 1fr; gap: 12px; padding: 6px 0; border-bottom: 1px solid var(--line); }
ul.findings { list-style: none; padding: 0; margin: 0; display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr)); }
ul.findings li { border-left: 4px solid var(--line); padding: 2px 14px; } ul.findings b { font-weight: 600; }
ul.findings li.bad { border-color: var(--bad); } ul.findings li.warn { border-color: var(--warn); }
ul.findings div { padding-left: 1.3em; text-indent: -1.3em; }
@media (max-width: 1300px) {
  table.wide, table.wide tbody { display: block; } table.wide thead { display: none; }
  table.wide tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 6px 20px; padding: 12px 0; border-bottom: 1px solid var(--line); }
  table.wide td { display: flex; justify-content: space-between; gap: 12px; border: 0; padding: 0; }
  table.wide td::before { content: attr(data-title); color: var(--soft); white-space: nowrap; } table.wide td:empty { display: none; }
  table.wide td:nth-child(-n + 2) { grid-column: 1 / -1; justify-content: flex-start; } table.wide td:first-child { font-weight: 600; }
  table.wide td:nth-child(-n + 2)::before { content: none; }
}
@media print {
  :root { color-scheme: light; --back: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb; --bar: #2f6fde; --light: #a9c5f5;
    --bad: #b42318; --warn: #8a5200; --good: #146c43; }
  body { font-size: 11px; } main { padding: 0; max-width: none; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, tr, li, .verdict, dl > div { break-inside: avoid; } h2 { break-after: avoid; }
}
`.trim()
