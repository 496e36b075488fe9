"""What is installed, and what could not be loaded and why."""

from __future__ import annotations

import streamlit as st

from metalearner.pages import context, manners


def main() -> None:
    """Those that failed first."""
    st.title("Plugins")
    st.caption("Kinds of data, models, searchers and everything else come from plugins, which anybody can write.")
    found = sorted(context.registry().plugins, key=lambda p: not p.failure)
    broken = [p for p in found if p.failure]
    if broken:
        st.caption(f"{len(broken)} of {len(found)} could not be loaded; the others work without them.")
    for plugin in found:
        with st.container(border=True):
            st.markdown(f"**{manners.text(plugin.name)}** {plugin.version}")
            if plugin.failure:
                manners.problem(
                    f"It could not be loaded: {plugin.failure}\nThe program goes on without it.\nMend or remove it."
                )
            st.caption(
                "  \n".join(f"{kind}: {manners.text(', '.join(names))}" for kind, names in plugin.brings.items())
            )


main()
