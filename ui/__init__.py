"""What stands between the library and the screen: the only Streamlit outside `pages/`."""

from streamlit import config

# Whatever a configuration file or a variable of this machine says: no visitor's browser sends usage statistics.
config.set_option("browser.gatherUsageStats", False, "ui")
