"""Pieces of a picture in SVG: numbers with units, axes, lines, legends. No knowledge of Grafana or Prometheus."""

import html
import math

COLORS = ["#2f6fb2", "#d9822b", "#2e8b57", "#b5495b", "#7a5ea8", "#8a6d3b", "#3b9aa8", "#c05a9d", "#6b7684", "#a3a042"]
GRID, BAND = "#e3e8ee", "#fbe3df"
CHARACTER_WIDTH = 6.8
LEFT, RIGHT, TOP, X_LABELS, LEGEND_LINE = 46, 10, 30, 18, 16


def text(x, y, content, kind="", anchor="start", fill=None):
    """One line of text; `kind` is a class of the style sheet."""
    color = f' style="fill:{fill}"' if fill else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}"{color}>{html.escape(content, quote=False)}</text>'


def number(value, digits=3):
    """Without needless zeros: 1.50 is 1.5."""
    shown = f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"
    return shown if "e" not in shown else f"{value:.6f}".rstrip("0")


def with_unit(value, unit, decimals=None):
    """A value as Grafana would show it in this unit."""
    if unit == "percentunit":
        return f"{value * 100:.{decimals}f} %" if decimals is not None else f"{number(value * 100)} %"
    if unit == "s":
        for size, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if value >= size or name == "µs":
                return f"{number(value / size)} {name}"
    if unit == "bytes":
        for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if value >= size:
                return f"{number(value / size)} {name}"
        return f"{number(value)} B"
    shown = f"{number(value / 1000)}k" if value >= 1000 else number(value)
    return f"{shown}/s" if unit in ("reqps", "ops") else shown


def nice_ticks(top, base):
    """From 0 to at least `top`, above 0: at most four steps of 1, 2, 2.5 or 5 times a power of ten, counted in powers of `base`."""
    size = base ** math.floor(math.log(top, base))
    power = size * 10 ** math.floor(math.log10(top / size)) / 10
    step = next(s * power for s in (1, 2, 2.5, 5, 10, 20, 25, 50) if top <= 4 * s * power)
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


class Scale:
    """From values to heights, linear from 0 or logarithmic."""

    def __init__(self, values, unit, log, top):
        self.log = log
        if log:
            values = [value for value in values if value > 0] or [0.001]
            low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
            self.low, self.high = low, max(high, low + 1)
            self.ticks = [10.0**power for power in range(self.low, self.high + 1)]
        else:
            self.ticks = nice_ticks(top or max(values, default=0) or 1, 1024 if unit == "bytes" else 10)
            self.low, self.high = 0, self.ticks[-1]

    def share(self, value):
        """0 at the bottom, 1 at the top."""
        value = math.log10(max(value, 10.0**self.low)) if self.log else value
        return (value - self.low) / (self.high - self.low)


def runs(samples, gap):
    """Samples in runs without a hole of more than `gap` seconds."""
    found = []
    for at, value in samples:
        if not found or at - found[-1][-1][0] > gap:
            found.append([])
        found[-1].append((at, value))
    return found


def path(points):
    """A line through points, in steps from each to the next, which are short to write. A lone point is a short stroke."""
    rounded = [(round(x, 1), round(y, 1)) for x, y in points]
    steps = [f"{b[0] - a[0]:.1f} {b[1] - a[1]:.1f}" for a, b in zip(rounded, rounded[1:])]
    return f"M{rounded[0][0]} {rounded[0][1]}" + (f"l{' '.join(steps)}" if steps else "h1")


def curve(samples, x, y, color, floor=None):
    """Lines through samples, and above `floor` a light area under them."""
    out = []
    for run in runs(samples, 1.5):
        line = path([(x(at), y(value)) for at, value in run])
        if floor is not None:
            out.append(f'<path d="{line}V{floor:.1f}H{x(run[0][0]):.1f}z" fill="{color}" fill-opacity=".08"/>')
        out.append(f'<path d="{line}" fill="none" stroke="{color}" stroke-width="1.7" stroke-linejoin="round"/>')
    return out


def spark(box, samples, window, color):
    """A small line without axes along the bottom of `box`."""
    low, high = min(value for _, value in samples), max(value for _, value in samples)
    bottom, height = box[1] + box[3] - 10, 16

    def x(at):
        return box[0] + 14 + (at - window[0]) / (window[1] - window[0]) * (box[2] - 28)

    def y(value):
        return bottom - ((value - low) / (high - low) if high > low else 0) * height

    return curve(samples, x, y, color, bottom)


def legend_lines(names, width):
    """Names with their index, in lines that fit."""
    lines, used = [[]], 0.0
    for index, name in enumerate(names):
        needed = 24 + len(name) * CHARACTER_WIDTH
        if lines[-1] and used + needed > width:
            lines.append([])
            used = 0.0
        lines[-1].append((index, name, used))
        used += needed
    return lines


def legend(lines, left, top):
    """The lines of a legend, below each other."""
    out = []
    for row, line in enumerate(lines):
        y = top + row * LEGEND_LINE
        for index, name, offset in line:
            x = left + offset
            out.append(f'<path d="M{x:.0f} {y - 4:.0f}h10" stroke="{COLORS[index % len(COLORS)]}" stroke-width="3"/>')
            out.append(text(x + 14, y, name, "small"))
    return out


def lines(box, series, window, unit, log=False, top=None, limit=None, bands=()):
    """A chart in `box` (x, y, width, height). `series`: (name, samples); `bands`: spans of time that are shaded."""
    left, right = box[0] + LEFT, box[0] + box[2] - RIGHT
    legends = legend_lines([name for name, _ in series], box[2] - 24)
    bottom = box[1] + box[3] - X_LABELS - LEGEND_LINE * len(legends) - 6
    ceiling = box[1] + TOP + 8
    scale = Scale([value for _, samples in series for _, value in samples], unit, log, top)
    start, end = window

    def x(at):
        return left + (at - start) / (end - start) * (right - left)

    def y(value):
        return bottom - scale.share(value) * (bottom - ceiling)

    out = []
    for begins, ends in bands:
        shape = f'x="{x(begins):.1f}" y="{ceiling}" width="{x(ends) - x(begins):.1f}" height="{bottom - ceiling:.1f}"'
        out.append(f'<rect {shape} fill="{BAND}"/>')
    for tick in scale.ticks:
        out.append(f'<path d="M{left} {y(tick):.1f}H{right}" stroke="{GRID}"/>')
        if series:
            out.append(text(left - 6, y(tick) + 4, with_unit(tick, unit), "tick", "end"))
    for second in range(0, int(end - start) + 1, 20):
        out.append(text(x(start + second), bottom + 15, f"{second} s", "tick", "middle"))
    if not series:
        out.append(text((left + right) / 2, (ceiling + bottom) / 2, "none", "none", "middle"))
    if limit is not None:
        out.append(f'<path d="M{left} {y(limit):.1f}H{right}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    for index, (_, samples) in enumerate(series):
        out += curve(samples, x, y, COLORS[index % len(COLORS)], None if log else bottom)
    return out + legend(legends, box[0] + 14, bottom + X_LABELS + 16)
