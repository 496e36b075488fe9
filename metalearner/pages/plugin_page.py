"""What is installed, and what could not be loaded."""

from __future__ import annotations

import streamlit as st

from metalearner import plugins

st.title("Plugins")
for plugin in plugins.load().plugins:
    with st.container(border=True):
        st.write(f"**{plugin.name}** {plugin.version}")
        if plugin.failure:
            st.error(plugin.failure)
        for kind, names in plugin.brings.items():
            st.caption(f"{kind}: {', '.join(names)}")
