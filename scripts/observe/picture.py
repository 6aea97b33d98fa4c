"""Draws a Grafana dashboard's panels as one SVG, from what a Prometheus has stored: the same queries, grid, units and limits."""

import re

import chart
from queries import substituted

WIDTH, MARGIN, GAP = 1140, 16, 10
UNIT_HEIGHT = 25
STAT_COLORS = {"green": "#23804f", "orange": "#b86a12", "red": "#b3362b", "blue": "#2f6fb2"}
STYLE = """
  .title { font-size: 13px; font-weight: 600; fill: #1b2a38 }
  .row { font-size: 17px; font-weight: 700; fill: #1b2a38 }
  .value { font-size: 27px; font-weight: 600 }
  .small { font-size: 11.5px; fill: #3d4c5b }
  .tick { font-size: 10.5px; fill: #5c6b7a }
  .none { font-size: 14px; fill: #8794a1 }
"""


def draw(dashboard, prometheus):
    """The whole picture, as text."""
    panels = dashboard["panels"]
    window = (prometheus.start, prometheus.end)
    bands = [band for note in dashboard["annotations"]["list"] for band in spans(prometheus.range(substituted(note["expr"])))]
    parts, tops = [], grid_tops(panels)
    for panel in panels:
        box = place(panel, tops)
        if panel["type"] == "row":
            parts.append(chart.text(box[0], box[1] + 24, panel["title"], "row"))
            continue
        parts.append(f'<rect x="{box[0]}" y="{box[1]}" width="{box[2]}" height="{box[3]}" rx="6" fill="#ffffff" stroke="#dde3ea"/>')
        parts.append(chart.text(box[0] + 14, box[1] + 22, panel["title"], "title"))
        series = [one for target in panel["targets"] for one in named(target, prometheus)]
        parts += stat(box, panel, series, window) if panel["type"] == "stat" else lines(box, panel, series, window, bands)
    if bands:
        parts.append(f'<rect x="{WIDTH - MARGIN - 92}" y="{MARGIN + 3}" width="16" height="12" fill="{chart.BAND}" stroke="#eab8b0"/>')
        parts.append(chart.text(WIDTH - MARGIN, MARGIN + 13, dashboard["annotations"]["list"][0]["name"], "small", "end"))
    height = max(box[1] + box[3] for box in (place(panel, tops) for panel in panels)) + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-labelledby="title desc" font-family="ui-sans-serif, system-ui, sans-serif">\n'
        f'<title id="title">The dashboard of {dashboard["title"]}</title>\n'
        f'<desc id="desc">{dashboard["description"]} Shaded: {dashboard["annotations"]["list"][0]["name"]}.</desc>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#f5f7f9"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def grid_tops(panels):
    """Height of each line of Grafana's grid; the heading of a row gets some air."""
    tops, top = {}, MARGIN - 8
    for y in sorted({panel["gridPos"]["y"] for panel in panels}):
        tallest = max((panel for panel in panels if panel["gridPos"]["y"] == y), key=lambda panel: panel["gridPos"]["h"])
        tops[y] = top
        top += 36 if tallest["type"] == "row" else tallest["gridPos"]["h"] * UNIT_HEIGHT + GAP
    return tops


def place(panel, tops):
    """x, y, width and height of a panel."""
    grid, column = panel["gridPos"], (WIDTH - 2 * MARGIN + GAP) / 24
    height = 36 if panel["type"] == "row" else grid["h"] * UNIT_HEIGHT
    return (round(MARGIN + grid["x"] * column), tops[grid["y"]], round(grid["w"] * column - GAP), height)


def named(target, prometheus):
    """The series of a target, with the names of its legend."""
    for labels, samples in prometheus.range(substituted(target["expr"])):
        yield re.sub(r"{{ *(\w+) *}}", lambda found: labels.get(found[1], ""), target["legendFormat"]), samples


def spans(series):
    """From where to where an annotation has samples."""
    times = sorted({at for _, samples in series for at, _ in samples})
    starts = [at for before, at in zip([None, *times], times) if before is None or at - before > 1.5]
    ends = [at for at, after in zip(times, [*times[1:], None]) if after is None or after - at > 1.5]
    return list(zip(starts, ends))


def lines(box, panel, series, window, bands):
    """A time series panel."""
    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    limit = defaults["thresholds"]["steps"][-1]["value"] if "thresholdsStyle" in custom else None
    log = custom.get("scaleDistribution", {}).get("type") == "log"
    series = sorted(series, key=lambda one: one[0])
    return chart.lines(box, series, window, defaults["unit"], log, defaults.get("max"), limit, bands)


def stat(box, panel, series, window):
    """A panel with one value: the last one, and how it came to it."""
    defaults = panel["fieldConfig"]["defaults"]
    samples = series[0][1] if series else [(window[1], 0)]
    value = samples[-1][1]
    reached = [step for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    color = STAT_COLORS[reached[-1]["color"]]
    mapped = {key: to["text"] for mapping in defaults.get("mappings", []) for key, to in mapping["options"].items()}
    shown = mapped.get(f"{value:.0f}") or chart.with_unit(value, defaults["unit"], defaults.get("decimals"))
    out = [chart.text(box[0] + 14, box[1] + 58, shown, "value", fill=color)]
    return out + (chart.spark(box, samples, window, color) if panel["options"]["graphMode"] == "area" else [])
