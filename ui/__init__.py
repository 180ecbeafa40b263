"""The user interface, between the library and the pages: the only Streamlit code outside `pages/`."""

from streamlit import config

# Overrides any configuration file or variable: no visitor's browser sends usage statistics.
config.set_option("browser.gatherUsageStats", False, "ui")
