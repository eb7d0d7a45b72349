import { html } from "./html.js";

/** By itself in light, in dark and on paper. Colours differ in lightness too, and every track has a dash or a sign of its own. */
export const STYLE = html`<style>
:root { color-scheme: light dark; --ink: #1c2128; --quiet: #57606a; --paper: #fff; --card: #f6f8fa; --rule: #d0d7de; --canary: #b3470b; --stable: #1b62b0; --limit: #8250df; --bad: #b4121f; --good: #14692f; --unsure: #7a5200; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9da7b3; --paper: #0d1117; --card: #161b22; --rule: #30363d; --canary: #ff9e5e; --stable: #6cb0ff; --limit: #c7a0ff; --bad: #ff8078; --good: #56d364; --unsure: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { margin: 0 0 4px; font-size: 28px; line-height: 1.25; }
h2 { margin: 40px 0 8px; font-size: 19px; border-top: 1px solid var(--rule); padding-top: 16px; }
p { margin: 6px 0; max-width: 80ch; }
header { border-left: 6px solid var(--unsure); padding: 2px 0 2px 16px; }
header.promoted { border-color: var(--good); } header.rolled_back { border-color: var(--bad); }
header ul { margin: 8px 0; padding-left: 20px; overflow-wrap: anywhere; }
.quiet, .under, summary { color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 20px; margin: 16px 0 0; } dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 8px 0 0; } figure.wide { overflow-x: auto; } svg { display: block; } figure svg { width: 100%; height: auto; } figure.wide svg { min-width: 640px; }
.grid-of-plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); gap: 8px 20px; }
.under { margin: 0 0 8px; font-size: 13px; }
.key { font-size: 14px; max-width: none; overflow-wrap: anywhere; } .swatch { display: inline-flex; align-items: center; gap: 6px; margin-right: 16px; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .title { font-weight: 600; font-size: 13px; } svg .quiet { fill: var(--quiet); } svg .middle { text-anchor: middle; } svg .end { text-anchor: end; }
svg path { fill: none; stroke: var(--quiet); } svg .grid { stroke: var(--rule); } svg .line { stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; } svg .marker { stroke-width: 1.8; }
svg .canary { stroke: var(--canary); } svg .stable { stroke: var(--stable); } svg .nobody { stroke: var(--bad); } svg .median { stroke-width: 1.2; stroke-dasharray: 5 4; }
svg .limit { stroke: var(--limit); stroke-width: 1.5; stroke-dasharray: 9 4 2 4; } svg .limit-label { fill: var(--limit); }
svg .missing { stroke: var(--stable); } svg .against { stroke: var(--bad); stroke-dasharray: 3 4; }
svg .event { stroke-width: 1.5; stroke-dasharray: 3 3; } svg .rollback { stroke: var(--bad); } svg .hold { stroke: var(--unsure); } svg .event-label { font-weight: 600; } svg .over { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; } svg .end-of-release { stroke: var(--ink); stroke-dasharray: none; }
.scroll { overflow-x: auto; margin: 12px 0 20px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; } caption { text-align: left; font-weight: 600; padding: 4px 0; }
th, td { border-bottom: 1px solid var(--rule); padding: 4px 10px 4px 0; text-align: left; vertical-align: top; font-weight: 400; } thead th { color: var(--quiet); vertical-align: bottom; } .number { text-align: right; font-variant-numeric: tabular-nums; }
details { margin: 2px 0; font-size: 14px; }
@media print { :root { color-scheme: light; --ink: #000; --quiet: #444; --paper: #fff; --card: #fff; --rule: #bbb; --canary: #b3470b; --stable: #1b62b0; --limit: #6639ba; --bad: #b4121f; --good: #14692f; --unsure: #7a5200; } body { font-size: 11px; } table, .key, .under { font-size: 10px; } .grid-of-plots { grid-template-columns: 1fr 1fr; } figure.wide svg { min-width: 0; } details { display: none; } figure, .scroll { break-inside: avoid; } h2, h2 + p { break-after: avoid; } .scroll { overflow: visible; } }
</style>`;
