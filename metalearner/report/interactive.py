"""Pictures as plotly draws them: lines that can be followed, parts that can be looked at more closely."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from ..pictures import Picture, Series

# One accent that stands out on light and on dark; everything else is grey.
ACCENT, MILD = "#14a394", "#8a949e"
TONES = (ACCENT, "#5b8fd6", "#c98a3c", "#9b7fc4", "#7a9a4f", MILD)
FAINT = "rgba(138,148,158,0.25)"
SCALE = [[0.0, "rgba(20,163,148,0.03)"], [1.0, ACCENT]]
HIGH = 300  # pixels
CONFIG = "{displaylogo: false, responsive: true}"


def figure(picture: Picture, high: int = HIGH) -> go.Figure:
    """The picture as plotly takes it; words from data are escaped, plotly would read them as HTML."""
    shown = go.Figure()
    if picture.grid:
        _grid(shown, picture)
    for number, series in enumerate(picture.series):
        _series(shown, series, TONES[number % len(TONES)])
    if picture.band:
        low, top, name = picture.band
        shown.add_hrect(low, top, fillcolor=ACCENT, opacity=0.12, line_width=0, annotation_text=escape(name),
                        annotation_font_color=MILD, annotation_position="top right")  # fmt: skip
    if any(s.style == "bars" and isinstance(s.x[0], str) for s in picture.series if s.x):
        shown.update_xaxes(type="category")
    named = [s for s in picture.series if s.style in ("line", "bars")]
    shown.update_layout(
        title={"text": escape(picture.title), "font": {"size": 15}}, height=high, showlegend=len(named) > 1,
        margin={"l": 0, "r": 8, "t": 36, "b": 0}, xaxis_title=escape(picture.x), yaxis_title=escape(picture.y),
        hovermode="closest",
    )  # fmt: skip
    return shown


class Interactive:
    """Draws pictures on a page that has its `scripts` at the end, as wide as there is room and on whatever lies behind."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, picture: Picture) -> str:
        """The place of a picture."""
        shown, place = figure(picture), f"plot-{len(self.calls)}"
        shown.update_layout(template="none", title=None, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
                            font_color=MILD, margin={"t": 8})  # fmt: skip
        for axes in (shown.update_xaxes, shown.update_yaxes):
            axes(automargin=True, title_standoff=8, gridcolor=FAINT, zerolinecolor=FAINT)
        drawn = shown.to_json().replace("<", "\\u003c")  # nothing in it can end the script
        self.calls.append(f'Plotly.newPlot("{place}", Object.assign({drawn}, {{config: {CONFIG}}}));')
        return f'<div id="{place}" style="height: {HIGH}px"></div>'

    @property
    def scripts(self) -> list[str]:
        """Plotly's own as a whole, and what draws the pictures so far."""
        from plotly.offline import get_plotlyjs

        return [get_plotlyjs(), "\n".join(self.calls)]


def _series(shown: go.Figure, s: Series, tone: str) -> None:
    notes = [escape(n) for n in s.notes] or None
    about = {"x": [escape(v) if isinstance(v, str) else v for v in s.x], "y": s.y, "name": escape(s.name)}
    if s.style == "bars":
        shown.add_bar(**about, marker_color=tone, hovertext=notes)
    elif s.style == "points":
        shown.add_scatter(**about, mode="markers", marker={"color": ACCENT, "opacity": 0.5, "size": 7}, hovertext=notes,
                          hoverinfo="text" if notes else None)  # fmt: skip
    elif s.style == "reference":
        shown.add_scatter(**about, mode="lines", line={"color": MILD, "dash": "dot", "width": 1.5}, hoverinfo="skip")
    elif s.style == "steps":
        shown.add_scatter(**about, mode="lines", line={"color": ACCENT, "width": 2.5, "shape": "hv"})
    else:
        shown.add_scatter(**about, mode="lines", line={"color": tone, "width": 1.6})


def _grid(shown: go.Figure, p: Picture) -> None:
    columns = [escape(c) for c in p.columns] or None
    rows = [escape(r) for r in p.rows] or None
    shown.add_heatmap(z=p.grid, x=columns, y=rows, colorscale=SCALE, showscale=False, xgap=1, ygap=1)
    if columns and rows and len(rows) <= 12:
        top = max((v for row in p.grid for v in row if v), default=1)
        for i, row in enumerate(p.grid):  # by place, for two classes may look alike once escaped
            for j, value in enumerate(row):
                if value:
                    colour = "#ffffff" if value > top / 2 else MILD
                    shown.add_annotation(x=j, y=i, text=f"{value:g}", showarrow=False, font={"color": colour})
    shown.update_yaxes(autorange="reversed", showgrid=False, type="category" if rows else None)
    shown.update_xaxes(showgrid=False, type="category" if columns else None)
    if not p.labelled:
        shown.update_yaxes(scaleanchor="x")
        shown.update_xaxes(constrain="domain")
