#include <fmt/format.h>

#include "examples/support/page/page.h"
#include "examples/support/plot/svg.h"

namespace ink::lesson {

namespace {

// Book-like: one column, serif text, colours for both light and dark screens.
const char* kStyle = R"css(
:root { color-scheme: light dark; --ground: #fafaf8; --card: #ffffff; --ink: #1c1c22; --dim: #6b6b73; --rule: #e2e2e6;
  --accent: #2f6db3; --good: #2e7d4f; --bad: #b3261e; --formula: #f1f1ee; }
@media (prefers-color-scheme: dark) { :root { --ground: #17171b; --card: #1f1f25; --ink: #e6e6ea; --dim: #9a9aa4;
  --rule: #33333b; --accent: #7fb2ec; --good: #6fc28f; --bad: #f2877f; --formula: #26262d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.55;
  font: 17px/1.55 Charter, 'Bitstream Charter', Georgia, serif; }
main { max-width: 760px; margin: 0 auto; padding: 40px 20px 80px; }
h1, h2, h3, .meta, table, figcaption, .tensor, .tag { font-family: Inter, 'Helvetica Neue', Arial, sans-serif; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; } h2 { font-size: 21px; margin: 44px 0 10px; }
h3 { font-size: 17px; margin: 0 0 4px; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
.meta, .source, figcaption, .tensor { color: var(--dim); font-size: 14px; }
.formula { background: var(--formula); border-left: 3px solid var(--accent); padding: 10px 16px; margin: 10px 0 4px;
  font: italic 18px/1.6 'STIX Two Text', 'Cambria Math', Georgia, serif; overflow-x: auto; white-space: pre-wrap; }
pre { background: var(--formula); padding: 12px 16px; font: 13.5px/1.45 'JetBrains Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  overflow-x: auto; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin: 12px 0; }
th { text-align: left; color: var(--dim); font-weight: 500; } th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--rule); }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.held { color: var(--good); } .failed { color: var(--bad); font-weight: 600; } .skipped { color: var(--dim); }
figure { margin: 20px 0; } figure img { max-width: 100%; border: 1px solid var(--rule); border-radius: 7px; display: block; }
figcaption { margin-top: 6px; }
.tensor { display: flex; gap: 14px; align-items: center; margin: 10px 0; } .tensor b { color: var(--ink); }
.tensor img { border: 1px solid var(--rule); image-rendering: pixelated; flex: none; }
.tensor table { width: auto; margin: 0; color: var(--ink); } .tensor td { padding: 2px 10px; text-align: right; }
.error { border: 1px solid var(--bad); color: var(--bad); padding: 10px 16px; border-radius: 6px; }
.gallery { max-width: 1120px; } .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 22px; margin-top: 28px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; display: flex; flex-direction: column; }
.card > a img { width: 100%; height: 210px; object-fit: contain; background: #fdfdfc; border-bottom: 1px solid var(--rule); display: block; }
.card > div { padding: 14px 18px 18px; } .card p { margin: 4px 0 8px; font-size: 15px; } .card table { font-size: 13px; margin: 8px 0 0; }
)css";

}  // namespace

std::string html_head(const std::string& title) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n"
      "<style>{}</style>\n</head>\n<body>\n",
      escaped(title), kStyle);
}

}  // namespace ink::lesson
