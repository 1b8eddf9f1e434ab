/** The style sheet of the report and of the web page. */
export const css = `
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #fff; --ink: #1c1b1a; --quiet: #77736c; --line: #e4e0d9; --good: #2b7a3d; --bad: #b3261e; --accent: #2f5fd0;
  --series-1: #2f5fd0; --series-2: #d9660a; --series-3: #1f8a55; --series-4: #b8326f; --series-5: #0b8296; --series-6: #7a4fd6;
  --series-7: #8a6d00; --series-8: #5b6770; --series-9: #b3261e; --series-10: #4f7a00; --series-11: #8a4b2a; --series-12: #00695c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #161719; --card: #1e2023; --ink: #eceae6; --quiet: #9c9a95; --line: #34373b; --good: #6fcf8a; --bad: #ff8a80; --accent: #8ab0ff;
    --series-1: #7ea6ff; --series-2: #ffa45c; --series-3: #64d39b; --series-4: #f48bb9; --series-5: #5fd0e2; --series-6: #b69cff;
    --series-7: #e0c04d; --series-8: #a9b4bd; --series-9: #ff8a80; --series-10: #b5d85a; --series-11: #d8a483; --series-12: #5ac8b4;
  }
}
* { box-sizing: border-box }
html { background: var(--paper); color: var(--ink); font: 15px/1.5 ui-sans-serif, system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif }
body { max-width: 76rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { font-size: 1.9rem; letter-spacing: -.02em; margin: 0 0 .25rem }
h2 { font-size: 1.25rem; letter-spacing: -.01em; margin: 3rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 0 0 .15rem }
p { margin: .5rem 0; max-width: 60rem }
small, .quiet, figcaption { color: var(--quiet) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(25rem, 100%), 1fr)); gap: 1rem; margin: 1.25rem 0 }
.card, figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.15rem; margin: 0 }
.card h2 { border: 0; padding: 0; margin: 0 0 .15rem; font-size: 1.05rem }
.card dl { display: grid; grid-template-columns: minmax(4rem, auto) 1fr; gap: .15rem .9rem; margin: .6rem 0 0; font-size: .9rem }
.card dt { color: var(--quiet); max-width: 10rem; overflow-wrap: anywhere }
.card dd { margin: 0; overflow-wrap: anywhere }
.letter { display: inline-block; min-width: 1.5em; text-align: center; border-radius: 5px; background: var(--accent); color: var(--card); font-weight: 700; margin-right: .5em }
figure { margin: 1rem 0 }
figcaption { font-size: .87rem; margin-bottom: .5rem }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; list-style: none; padding: 0; margin: .4rem 0; font-size: .87rem }
.legend i { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .4em }
figure svg { display: block; width: 100%; height: auto; max-width: 880px; margin: 0 auto; color: var(--ink) }
.plot .grid { stroke: var(--line); stroke-opacity: 1 }
.scroll { overflow-x: auto; margin: .75rem 0 }
table { border-collapse: collapse; width: 100%; font-size: .84rem; font-variant-numeric: tabular-nums }
th, td { padding: .28rem .55rem; text-align: left; vertical-align: baseline; white-space: nowrap }
thead th { color: var(--quiet); font-weight: 500; border-bottom: 1px solid var(--line) }
tbody th { font-weight: 500 }
tbody tr.first:not(:first-child) > * { border-top: 1px solid var(--line) }
.n { text-align: right }
.strong { font-weight: 650 }
tr.slow { color: var(--quiet) }
td.wide, th.wide { white-space: normal }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
.bad { color: var(--bad) }
.note { border-left: 3px solid var(--accent); padding-left: .6rem; font-size: .9rem }
.headline { margin: .5rem 0 .8rem }
.headline p { margin: 0 }
.headline b { font-size: 2.1rem; line-height: 1.15; letter-spacing: -.02em; font-variant-numeric: tabular-nums }
.headline p:nth-child(2) b { font-size: 1.35rem }
.good { color: var(--good) }
.bar { display: inline-block; width: 2.2rem; height: .5rem; border-radius: 3px; background: var(--line); margin-right: .5rem; overflow: hidden; vertical-align: baseline }
.bar i { display: block; height: 100%; background: var(--accent) }
ul { padding-left: 1.2rem }
summary { cursor: pointer; color: var(--quiet) }
.card details { margin-top: .6rem; font-size: .9rem }
blockquote { margin: .75rem 0; padding: .2rem 0 .2rem 1rem; border-left: 3px solid var(--accent) }
footer { margin-top: 3rem; color: var(--quiet); font-size: .87rem }
.narrow { display: none }
@media screen and (max-width: 40rem) { .plots.wide { display: none } .plots.narrow { display: block } .legend.narrow { display: flex } figure { padding: .8rem .7rem } body { padding: 1.25rem .75rem } th, td { padding: .25rem .45rem } }
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --card: #fff; --ink: #000; --quiet: #555; --line: #ccc; --good: #1d5c2c; --bad: #9c1d16; --accent: #2f5fd0;
    --series-1: #2f5fd0; --series-2: #d9660a; --series-3: #1f8a55; --series-4: #b8326f; --series-5: #0b8296; --series-6: #7a4fd6;
    --series-7: #8a6d00; --series-8: #5b6770; --series-9: #b3261e; --series-10: #4f7a00; --series-11: #8a4b2a; --series-12: #00695c;
  }
  body { max-width: none; padding: 0; font-size: 10pt }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact }
  figure, .card, tr { break-inside: avoid }
  h2, h3, thead { break-after: avoid }
  body { font-size: 9pt } h1 { font-size: 1.5rem } h2 { margin-top: 1.5rem }
  .cards { grid-template-columns: 1fr 1fr; gap: .5rem }
  figure { padding: .5rem }
  .scroll { overflow: visible } table { font-size: 7pt }
  .bar { display: none }
  th, td { padding: .12rem .3rem } td.n { white-space: nowrap } td, tbody th { white-space: normal }
  .optional { display: none }
  details::details-content { content-visibility: visible; block-size: auto } summary { display: none }
}
`;
