"""The app: `streamlit run app.py`, or better `metalearner app`, which also keeps it on this machine."""

from metalearner.pages import router

router.show()
