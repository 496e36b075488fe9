"""Pictures on a page: plotly's, and those that are drawn already."""

from __future__ import annotations

import streamlit as st

from metalearner.pictures import Picture
from metalearner.report.interactive import HIGH, MILD, figure

INK = {"light": "#31333f", "dark": "#fafafa"}


def show(picture: Picture, key: str, high: int = HIGH, bare: bool = False) -> None:
    """Draw a picture with what it says beneath; a bare one without axes."""
    drawn = figure(picture, high)
    if bare:
        drawn.update_xaxes(visible=False)
        drawn.update_yaxes(visible=False)
        drawn.update_layout(margin={"l": 0, "r": 0, "t": 4, "b": 4}, showlegend=False)
    st.plotly_chart(drawn, width="stretch", key=key, config={"displayModeBar": False})
    if picture.says:
        st.caption(picture.says)


def inline(svg: str) -> None:
    """SVG in the colour of the page's text, of which as a picture it knows nothing."""
    ink = INK.get(st.context.theme.type or "", MILD)
    st.image(svg.replace("<svg ", f'<svg color="{ink}" ', 1))
