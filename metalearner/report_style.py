"""How a report looks: one column, one accent colour, light or dark as the reader has it."""

STYLE = """
:root{--ground:#fff;--ink:#1d232b;--mild:#68727d;--rule:#e4e8ec;--soft:#f5f7f9;--accent:#0f766e}
@media(prefers-color-scheme:dark){:root{--ground:#14181d;--ink:#e4e8ec;--mild:#98a2ad;--rule:#2b323a;--soft:#1b2027;--accent:#3cc4b4}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1000px;margin:0 auto;padding:56px 24px 96px}
h1{font-size:34px;line-height:1.2;margin:0 0 6px;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:19px;margin:0 0 14px;letter-spacing:-.01em}
h3{font-size:14px;margin:0 0 6px;font-weight:600}
p{margin:0 0 12px;max-width:72ch}
section{margin-top:52px}
.wanted{color:var(--mild);font-size:17px}
.mild,small,figcaption{color:var(--mild)}
.figures{display:flex;flex-wrap:wrap;gap:12px 44px;margin-top:26px}
.figures div{display:flex;flex-direction:column}
.figures b{font-size:32px;line-height:1.15;font-weight:600;font-variant-numeric:tabular-nums}
.figures div:first-child b{color:var(--accent)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{color:var(--mild);font-weight:500;text-align:left}
th,td{padding:7px 18px 7px 0;border-bottom:1px solid var(--rule);vertical-align:top;overflow-wrap:anywhere;min-width:92px}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:30px 36px;margin:18px 0}
.members{display:grid;gap:30px}
figure{margin:0}
figcaption{font-size:13px;margin-top:4px}
svg{display:block;width:100%;height:auto;font-family:inherit}
svg text{fill:var(--ink);font-size:12px}
svg .tick,svg .axis,svg .note{fill:var(--mild)}
svg .rule{stroke:var(--rule);stroke-width:1}
svg .reference{fill:none;stroke:var(--mild);stroke-width:1.4;stroke-dasharray:2 4}
svg .best{fill:none;stroke:var(--accent);stroke-width:2.4}
svg .line{fill:none;stroke:var(--accent);stroke-width:1.6}
svg .tone1{stroke-opacity:.75}svg .tone2{stroke-opacity:.6}svg .tone3{stroke-opacity:.5}
svg .tone4{stroke-opacity:.4}svg .tone5{stroke-opacity:.3}
svg circle{fill:var(--accent);fill-opacity:.45;stroke:none}
svg .band{fill:var(--accent);fill-opacity:.1}
svg .cell{fill:var(--accent);stroke:var(--rule);stroke-width:.6}
svg .count{font-size:12px}svg .over{fill:var(--ground)}
.rows{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:16px}
.row{background:var(--soft);border-radius:8px;padding:14px}
.row figcaption{color:var(--ink);margin:0 0 10px}
.row img{width:96px;height:96px;object-fit:contain;image-rendering:pixelated}
dl{display:grid;grid-template-columns:auto 1fr;gap:2px 12px;margin:0;font-size:13px}
dt{color:var(--mild);overflow-wrap:anywhere}dd{margin:0;text-align:right;overflow-wrap:anywhere}
pre{background:var(--soft);border-radius:8px;padding:14px;overflow-x:auto;font-size:13px}
ul{margin:0 0 12px;padding-left:20px}
@media print{main{padding:0}section{break-inside:avoid-page}}
""".strip()

# What is shown in a notebook: its page has a ground and an ink of its own, light or dark, and keeps them.
CARD = """
.metalearner{max-width:900px;color:inherit;font-size:14px;line-height:1.5}
.metalearner h3{margin:4px 0 10px;font-size:18px;overflow-wrap:anywhere}
.metalearner p{margin:8px 0}
.metalearner small{opacity:.7}
.metalearner .figures{display:flex;flex-wrap:wrap;gap:8px 36px;margin:0 0 12px}
.metalearner .figures div{display:flex;flex-direction:column}
.metalearner .figures b{font-size:24px;line-height:1.2;font-weight:600;font-variant-numeric:tabular-nums}
.metalearner .figures div:first-child b{color:#119a8b}
.metalearner .scroll{overflow-x:auto}
.metalearner table{border-collapse:collapse;background:none;color:inherit;margin:0 0 12px}
.metalearner tr{background:none}
.metalearner th,.metalearner td{text-align:left;vertical-align:top;padding:4px 18px 4px 0;border:0;
border-bottom:1px solid rgba(128,128,128,.3);background:none;color:inherit;overflow-wrap:anywhere;max-width:560px}
.metalearner th{font-weight:500;opacity:.7}
.metalearner .number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
""".strip()
